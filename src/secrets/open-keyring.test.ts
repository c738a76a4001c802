import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'

import { openKeyring } from './open-keyring.ts'
import { Secret } from './secret.ts'

const PLACE = { organizationId: 'o', table: 't', column: 'c', rowId: 'r' }

describe('openKeyring()', () => {
  const root = mkdtempSync(join(tmpdir(), 'nanoscale-keyring-'))
  after(() => rmSync(root, { recursive: true, force: true }))
  let count = 0
  const fresh = () => {
    count += 1
    return { encryptionKeys: null, dataDirectory: join(root, String(count)) }
  }

  it('makes a key file that only its owner reads, and opens it again', async () => {
    const location = fresh()
    const first = await openKeyring(location, { createMissing: true })
    const sealed = first.seal('kept', PLACE)
    const directory = join(location.dataDirectory, 'keys')
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.equal(statSync(join(directory, 'keyring')).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(directory), ['keyring'])
    const second = await openKeyring(location, { createMissing: false })
    assert.equal(second.source, 'file')
    assert.equal(second.open(sealed, PLACE).reveal(), 'kept')
  })

  it('lets one of two first starts make the file', async () => {
    const location = fresh()
    const open = () => openKeyring(location, { createMissing: true })
    const [first, second] = await Promise.all([open(), open()])
    assert.equal(second.open(first.seal('x', PLACE), PLACE).reveal(), 'x')
  })

  it('C-05 makes no new key in the place of a lost one', async () => {
    const location = fresh()
    await assert.rejects(openKeyring(location, { createMissing: false }), {
      code: 'keyring.missing',
    })
    assert.throws(() => statSync(location.dataDirectory), { code: 'ENOENT' })
  })

  it('refuses a file that others may read', async () => {
    const location = fresh()
    await openKeyring(location, { createMissing: true })
    chmodSync(join(location.dataDirectory, 'keys', 'keyring'), 0o640)
    await assert.rejects(openKeyring(location, { createMissing: true }), {
      code: 'keyring.exposed',
    })
  })

  it('gives the file to the owner of its directory', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('needs root to give a file away')
    const location = fresh()
    const directory = join(location.dataDirectory, 'keys')
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    chownSync(directory, 65_534, 65_534)
    const keyring = await openKeyring(location, { createMissing: true })
    await keyring.addKey([])
    assert.equal(statSync(join(directory, 'keyring')).uid, 65_534)
  })

  it('puts a new key first on disk and removes an old one', async () => {
    const location = fresh()
    const keyring = await openKeyring(location, { createMissing: true })
    const old = keyring.seal('old', PLACE)
    assert.equal(await keyring.addKey(['k5']), 'k6')
    assert.deepEqual(keyring.keyIds, ['k6', 'k1'])
    assert.equal(keyring.open(old, PLACE).reveal(), 'old')
    assert.match(keyring.seal('new', PLACE), /^v1\.k6\./)
    await keyring.removeKey('k1')
    assert.throws(() => keyring.open(old, PLACE), { code: 'secrets.unknown_key' })
    assert.deepEqual((await openKeyring(location, { createMissing: false })).keyIds, ['k6'])
  })

  it('takes the keys of the environment as they are', async () => {
    const bytes = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7))
    const encryptionKeys = new Secret(`prod:${bytes.toString('base64')}`)
    const keyring = await openKeyring({ ...fresh(), encryptionKeys }, { createMissing: true })
    assert.equal(keyring.source, 'environment')
    assert.deepEqual(keyring.keyIds, ['prod'])
    assert.throws(() => keyring.addKey([]), { code: 'keyring.not_changeable' })
  })
})
