import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import * as fc from 'fast-check'

import { safeReturnPath } from './return-path.ts'

const HERE = 'https://nanoscale.example.com'

describe('safeReturnPath()', () => {
  it('keeps paths of this site, with their query and fragment', () => {
    for (const path of ['/', '/projects/1', '/projects?name=a%2Fb&x=1#logs', '/a/%E2%9C%93']) {
      assert.equal(safeReturnPath(path), path)
    }
  })

  it('I-17 sends everybody home who wants to be sent elsewhere', () => {
    const elsewhere = [
      '//evil.example',
      'https:evil.example',
      'https://evil.example/',
      'https://nanoscale.example.com/',
      '/\\evil.example',
      '\\\\evil.example',
      '\\/evil.example',
      'javascript:alert(1)',
      'data:text/html,x',
      '/.//evil.example',
      '/x/..//evil.example',
      '/%2e//evil.example',
      '/\t/evil.example',
      '/\n/evil.example',
      '\t//evil.example',
      ' //evil.example',
      'evil.example',
      '@evil.example',
      '',
      `/${'a'.repeat(2000)}`,
      '/a\r\nset-cookie: x=1',
      '/ü',
      null,
      undefined,
    ]
    for (const wanted of elsewhere) {
      assert.equal(safeReturnPath(wanted), '/', JSON.stringify(wanted))
    }
  })

  it('I-17 never leaves the site, whatever is wanted, and answers the same for its own answers', () => {
    const piece = fc.constantFrom(
      '/',
      '\\',
      '.',
      '..',
      '%2f',
      '%2e',
      ':',
      '@',
      'evil.example',
      '\t',
    )
    const strange = fc
      .array(fc.oneof(piece, fc.string()), { maxLength: 8 })
      .map((all) => all.join(''))
    fc.assert(
      fc.property(
        fc.oneof(
          strange,
          fc.webUrl(),
          strange.map((text) => `/${text}`),
        ),
        (wanted) => {
          const path = safeReturnPath(wanted)
          assert.ok(path.startsWith('/') && !path.startsWith('//'))
          assert.equal(new URL(path, `${HERE}/api/auth/callback/oidc`).origin, HERE)
          assert.match(path, /^[\x21-\x7e]*$/)
          assert.equal(safeReturnPath(path), path)
        },
      ),
    )
  })
})
