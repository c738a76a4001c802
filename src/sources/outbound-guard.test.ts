import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import { isPublicAddress, resolveOutbound } from './outbound-guard.ts'

const PRIVATE = [
  '127.0.0.1',
  '10.1.2.3',
  '172.31.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '198.18.0.1',
  '::1',
  '::',
  'fe80::1',
  'fd00::1',
  'ff02::1',

  '::ffff:127.0.0.1',
  '::ffff:a9fe:a9fe',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '::127.0.0.1',
  'x',
]

describe('isPublicAddress()', () => {
  it('S-01 knows the special ranges, also inside IPv6', () => {
    for (const address of PRIVATE) assert.equal(isPublicAddress(address), false, address)
    for (const address of ['140.82.121.3', '2606:50c0:8000::153', '::ffff:140.82.121.3']) {
      assert.equal(isPublicAddress(address), true, address)
    }
  })
})

describe('resolveOutbound()', () => {
  it('refuses a name when any of its addresses is not public, unless it is marked private', async () => {
    const lookup = () => Promise.resolve(['140.82.121.3', '127.0.0.1'])
    await assert.rejects(
      resolveOutbound({ lookup }, { hostname: 'git.example', isPrivate: false }),
      (error) => isOperationError(error, 'source.refused') && /@private/.test(error.message),
    )
    const allowed = await resolveOutbound({ lookup }, { hostname: 'git.example', isPrivate: true })
    assert.deepEqual(allowed, ['140.82.121.3', '127.0.0.1'])
  })

  it('refuses an address that stands in the URL itself', async () => {
    const lookup = () => Promise.reject(new Error('must not be asked'))
    await assert.rejects(resolveOutbound({ lookup }, { hostname: '127.0.0.1', isPrivate: false }))
  })

  it('says that a name leads nowhere', async () => {
    const lookup = () => Promise.resolve([])
    await assert.rejects(
      resolveOutbound({ lookup }, { hostname: 'git.example', isPrivate: false }),
      (error) => isOperationError(error, 'source.unreachable'),
    )
  })
})
