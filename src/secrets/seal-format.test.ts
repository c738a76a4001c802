import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'

import { isOperationError } from '../lib/errors.ts'
import { createKeyring, type SealContext } from './keyring.ts'
import { Secret } from './secret.ts'

const PLACE: SealContext = {
  organizationId: 'org-default',
  table: 'environment_variables',
  column: 'value_sealed',
  rowId: 'row-1',
}
const key = (id: string) => ({ id, bytes: randomBytes(32) })

/** What came of opening: never anything but the value or one of the room's errors. */
function outcomeOf(open: () => Secret): string {
  try {
    return `value ${open().reveal()}`
  } catch (error) {
    assert.ok(isOperationError(error), String(error))
    return error.code
  }
}

describe('seal()', () => {
  const keyring = createKeyring([key('k1')])

  it('gives back what was sealed, whatever it is', () => {
    for (const value of ['', 'a', 'ü€𝒳', 'x'.repeat(100_000)]) {
      assert.equal(keyring.open(keyring.seal(value, PLACE), PLACE).reveal(), value)
    }
  })

  it('C-01 seals equal values differently', () => {
    const sealed = new Set(Array.from({ length: 50 }, () => keyring.seal('same', PLACE)))
    assert.equal(sealed.size, 50)
    const [first, second] = [...sealed].map((text) => text.split('.').slice(2))
    for (const index of [0, 1, 2, 3]) assert.notEqual(first?.[index], second?.[index])
  })

  it('C-12 refuses to seal with a key that was used too often', () => {
    const worn = createKeyring([key('k1')], { sealsSoFar: 2 ** 31 - 1 })
    worn.seal('last', PLACE)
    assert.throws(() => worn.seal('one more', PLACE), { code: 'keyring.exhausted' })
    worn.replaceKeys([key('k2'), ...worn.keys])
    assert.match(worn.seal('with the next key', PLACE), /^v1\.k2\./)
  })
})

describe('open()', () => {
  const keyring = createKeyring([key('k2'), key('k1')])
  const sealed = keyring.seal('the value', PLACE)

  it('C-02 opens nothing that was changed in any character', () => {
    for (let at = 0; at < sealed.length; at += 1) {
      const other = sealed[at] === 'A' ? 'B' : 'A'
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1)
      assert.match(
        outcomeOf(() => keyring.open(changed, PLACE)),
        /^secrets\./,
        `at ${at}`,
      )
    }
  })

  it('C-02 opens nothing that was cut short or made longer', () => {
    for (let length = 0; length < sealed.length; length += 1) {
      const outcome = outcomeOf(() => keyring.open(sealed.slice(0, length), PLACE))
      assert.match(outcome, /^secrets\./, `first ${length}`)
    }
    for (const longer of [`${sealed}A`, `${sealed}.`, `${sealed} `, `${sealed}=`, ` ${sealed}`]) {
      assert.match(
        outcomeOf(() => keyring.open(longer, PLACE)),
        /^secrets\./,
      )
    }
  })

  it('C-02 opens nothing in another row, column, table or organization', () => {
    const places: SealContext[] = [
      { ...PLACE, rowId: 'row-2' },
      { ...PLACE, column: 'configuration_sealed' },
      { ...PLACE, table: 'deployments' },
      { ...PLACE, organizationId: 'org-other' },
      // The parts are told apart, not only their concatenation.
      { ...PLACE, table: 'environment_', column: 'variablesvalue_sealed' },
    ]
    for (const place of places) {
      assert.equal(
        outcomeOf(() => keyring.open(sealed, place)),
        'secrets.wrong_key_or_place',
      )
    }
  })

  it('C-02 does not mix the parts of two sealed values', () => {
    const other = keyring.seal('the other', PLACE).split('.')
    for (const index of [2, 3, 4, 5]) {
      const mixed = sealed.split('.')
      mixed[index] = other[index] ?? ''
      assert.match(
        outcomeOf(() => keyring.open(mixed.join('.'), PLACE)),
        /^secrets\./,
      )
    }
  })

  it('C-03 refuses a shorter authentication tag', () => {
    const parts = sealed.split('.')
    for (const bytes of [4, 8, 12, 15]) {
      const tag = Buffer.from(parts[5] ?? '', 'base64url').subarray(0, bytes)
      const short = [...parts.slice(0, 5), tag.toString('base64url')].join('.')
      assert.equal(
        outcomeOf(() => keyring.open(short, PLACE)),
        'secrets.malformed',
      )
    }
  })

  it('C-04 names a key that it does not have', () => {
    const elsewhere = createKeyring([key('k9')]).seal('value', PLACE)
    assert.throws(() => keyring.open(elsewhere, PLACE), {
      code: 'secrets.unknown_key',
      message: /row "row-1": it is sealed with key "k9", which is not in the keyring/,
    })
    assert.equal(
      outcomeOf(() => keyring.open(sealed.replace('v1', 'v0'), PLACE)),
      'secrets.malformed',
    )
  })

  it('never says anything of the value in an error', () => {
    assert.throws(
      () => createKeyring([key('k2')]).open(sealed, PLACE),
      (error) => !inspect(error).includes('the value'),
    )
  })
})

describe('fingerprint()', () => {
  it('is equal for equal input and depends on the key', () => {
    const keys = [key('k1')]
    const keyring = createKeyring(keys)
    assert.equal(keyring.fingerprint('a'), createKeyring(keys).fingerprint('a'))
    assert.notEqual(keyring.fingerprint('a'), keyring.fingerprint('b'))
    assert.notEqual(keyring.fingerprint('a'), createKeyring([key('k1')]).fingerprint('a'))
  })
})

describe('Secret', () => {
  it('prints [secret] everywhere', () => {
    const secret = new Secret('open sesame')
    const printed = [
      String(secret),
      JSON.stringify({ secret }),
      inspect({ deep: { secret } }, { showHidden: true }),
      Object.entries(secret).join(''),
    ]
    for (const text of printed) assert.ok(!text.includes('sesame'), text)
    assert.equal(inspect(secret), '[secret]')
    assert.equal(secret.reveal(), 'open sesame')
  })
})
