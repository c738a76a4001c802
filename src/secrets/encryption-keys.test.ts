import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import { formatKeys, makeKey, parseKeys } from './encryption-keys.ts'

const good = randomBytes(32).toString('base64')

describe('parseKeys()', () => {
  it('reads keys in order, from commas or lines, in both alphabets, with comments', () => {
    const other = randomBytes(32)
    const text = `# note\nk2:${good}, k1:${other.toString('base64url')}\n`
    const keys = parseKeys(text, 'test')
    assert.deepEqual(
      keys.map(({ id }) => id),
      ['k2', 'k1'],
    )
    assert.deepEqual(Buffer.from(keys[1]?.bytes ?? []), other)
    assert.deepEqual(parseKeys(formatKeys(keys), 'test'), keys)
  })

  const refused: [string, string, RegExp][] = [
    ['nothing', '', /has no key/],
    ['only comments', '# k1', /has no key/],
    ['a short key', `k1:${randomBytes(16).toString('base64')}`, /"k1" of 16 bytes instead of 32/],
    ['a long key', `k1:${randomBytes(33).toString('base64')}`, /"k1" of 33 bytes/],
    ['zeros', `k1:${Buffer.alloc(32).toString('base64')}`, /"k1" that is not random/],
    ['one letter', `k1:${Buffer.alloc(32, 'a').toString('base64')}`, /not random/],
    ['garbage', 'k1:not base64 at all!', /"k1" that is not base64/],
    ['garbage inside', `k1:${good.slice(0, 10)}*${good.slice(10)}`, /"k1" that is not base64/],
    ['no key after the id', 'k1:', /"k1" that is not base64/],
    ['no id', good, /no valid id in entry 1/],
    ['a bad id', `k.1:${good}`, /no valid id in entry 1/],
    ['an id twice', `k1:${good},k1:${randomBytes(32).toString('base64')}`, /the id "k1" twice/],
    ['a key twice', `k1:${good},k2:${good}`, /one key under two ids, "k1" and "k2"/],
  ]
  for (const [name, text, message] of refused) {
    it(`C-05 refuses ${name}`, () => {
      assert.throws(
        () => parseKeys(text, 'NANOSCALE_ENCRYPTION_KEYS'),
        (error) => {
          assert.ok(isOperationError(error, 'keyring.invalid'))
          assert.match(error.message, message)
          assert.ok(!error.message.includes(good.slice(0, 12)), 'repeats a key')
          return true
        },
      )
    })
  }

  it('names everything that is wrong at once', () => {
    assert.throws(
      () => parseKeys('a:x,b:y', 'here'),
      (error) => {
        assert.ok(isOperationError(error))
        assert.equal(error.details?.['here']?.length, 2)
        return true
      },
    )
  })
})

describe('makeKey()', () => {
  it('counts on from the ids that are taken', () => {
    assert.equal(makeKey([]).id, 'k1')
    assert.equal(makeKey(['k1', 'k7', 'mine']).id, 'k8')
  })
})
