import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { clientHeaders, trustPeers } from './forwarded-headers.ts'
import { hostNameOf } from './host-name.ts'

describe('trustPeers()', () => {
  it('trusts listed addresses and ranges of both families, and nobody by default', () => {
    const trusts = trustPeers(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32', '::1'])
    for (const address of ['10.9.8.7', '192.0.2.1', '2001:db8::5', '::1']) {
      assert.equal(trusts(address), true, address)
    }
    for (const address of ['11.0.0.1', '192.0.2.2', '2001:db9::1', '127.0.0.1', '']) {
      assert.equal(trusts(address), false, address)
    }
    assert.equal(trustPeers([])('127.0.0.1'), false)
  })

  it('refuses what is no address', () => {
    for (const entry of ['proxy.example', '10.0.0.0/33', '']) {
      assert.throws(() => trustPeers([entry]), { code: 'traffic.invalid_trusted_proxy' }, entry)
    }
  })
})

describe('clientHeaders()', () => {
  it('keeps order, repetition and bytes', () => {
    const raw = ['Set-Cookie', 'a', 'X', 'h\u00e9', 'Set-Cookie', 'b'].map((s) =>
      Buffer.from(s, 'latin1'),
    )
    assert.deepEqual(clientHeaders(raw), ['Set-Cookie', 'a', 'X', 'h\u00e9', 'Set-Cookie', 'b'])
  })
})

describe('hostNameOf()', () => {
  it('reads names as the route table has them', () => {
    const cases: [string | undefined, string | null][] = [
      ['shop.example', 'shop.example'],
      ['SHOP.example:8080', 'shop.example'],
      ['shop.example.', 'shop.example'],
      ['bücher.example', 'xn--bcher-kva.example'],
      ['127.0.0.1:80', '127.0.0.1'],
      ['', null],
      [undefined, null],
      ['a b', null],
    ]
    for (const [header, name] of cases) assert.equal(hostNameOf(header), name, String(header))
  })
})
