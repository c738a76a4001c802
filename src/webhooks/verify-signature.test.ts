import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Secret } from '../lib/secret.ts'
import { SECRET } from './_test-hooks.ts'
import { signatureOf } from './_test-inbox.ts'
import { startSignatureCheck, type HookSecrets } from './verify-signature.ts'

function verify(body: string, signature: string, secrets: Partial<HookSecrets> = {}) {
  const check = startSignatureCheck(
    { current: new Secret(SECRET), previous: null, ...secrets },
    signature,
  )
  for (const byte of Buffer.from(body)) check.update(new Uint8Array([byte]))
  return check.verify()
}

describe('startSignatureCheck()', () => {
  it("W-01 accepts the vector of GitHub's documentation", () => {
    const digest = '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    assert.equal(verify('Hello, World!', `sha256=${digest}`), 'current')
  })

  it('W-03 accepts nothing with an empty secret', () => {
    const empty = { current: new Secret(''), previous: new Secret('') }
    const signature = signatureOf('x', '')
    assert.equal(verify('x', signature, empty), null)
    assert.equal(verify('x', signature, { current: null }), null)
    assert.equal(verify('x', '', { current: null }), null)
  })

  it('W-05 accepts no other form of a signature', () => {
    const right = signatureOf('x')
    assert.equal(verify('x', right), 'current')
    const wrong = [
      signatureOf('y'),
      right.toUpperCase(),
      `sha256=${right.slice(7).toUpperCase()}`,
      right.slice(0, -1),
      `${right}0`,
      right.replace('sha256', 'sha1'),
      right.slice(7),
      `sha256=${'g'.repeat(64)}`,
      `sha256=${'１'.repeat(64)}`,
      `${right}, ${right}`,
      '',
      'sha256=',
      '\n'.repeat(71),
    ]
    for (const signature of wrong) assert.equal(verify('x', signature), null, signature)
  })

  it('W-35 accepts the secret of before while there is one, and says which it was', () => {
    const previous = new Secret('old')
    assert.equal(verify('x', signatureOf('x', 'old'), { previous }), 'previous')
    assert.equal(verify('x', signatureOf('x'), { previous }), 'current')
    assert.equal(verify('x', signatureOf('x', 'old')), null)
  })
})
