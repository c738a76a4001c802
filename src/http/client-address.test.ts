import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createClientAddress, networkOf, normalAddress } from './client-address.ts'

describe('createClientAddress()', () => {
  const trusting = createClientAddress(['10.0.0.0/8', '::1'])

  it('takes the peer, and believes nobody who is not listed', () => {
    const none = createClientAddress([])
    assert.equal(none('127.0.0.1', '203.0.113.9'), '127.0.0.1')
    assert.equal(trusting('192.0.2.7', '203.0.113.9'), '192.0.2.7')
    assert.equal(trusting(null, '203.0.113.9'), null)
  })

  it('takes the last address of the chain that no listed proxy has', () => {
    assert.equal(trusting('10.1.1.1', '198.51.100.1, 203.0.113.9, 10.2.2.2'), '203.0.113.9')
    assert.equal(trusting('::1', '203.0.113.9'), '203.0.113.9')
    assert.equal(trusting('::ffff:10.1.1.1', '[2001:DB8::1]:4711'), '2001:db8::1')
    assert.equal(trusting('10.1.1.1', '203.0.113.9:4711'), '203.0.113.9')
  })

  it('stays with the proxy when it tells nothing, or nothing that is an address', () => {
    assert.equal(trusting('10.1.1.1', null), '10.1.1.1')
    assert.equal(trusting('10.1.1.1', '10.2.2.2'), '10.2.2.2')
    assert.equal(trusting('10.1.1.1', '198.51.100.1, unknown'), '10.1.1.1')
    assert.equal(trusting('10.1.1.1', "' or 1=1"), '10.1.1.1')
  })
})

describe('normalAddress()', () => {
  it('has one spelling for each address', () => {
    for (const text of ['::ffff:192.0.2.1', '::FFFF:c000:0201', ' 192.0.2.1 ', '192.0.2.1:80']) {
      assert.equal(normalAddress(text), '192.0.2.1', text)
    }
    assert.equal(normalAddress('2001:0DB8:0:0::0001'), '2001:db8::1')
    assert.equal(normalAddress('fe80::1%eth0'), 'fe80::1')
    for (const text of ['', 'localhost', '1.2.3', '256.1.1.1', '[::1', 'x'.repeat(1000)]) {
      assert.equal(normalAddress(text), null, text)
    }
  })
})

describe('networkOf()', () => {
  it('is the address itself for IPv4 and the /64 for IPv6', () => {
    assert.equal(networkOf('192.0.2.1'), '192.0.2.1')
    assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64')
    assert.equal(networkOf('2001:db8::1'), '2001:db8:0:0::/64')
    assert.equal(networkOf('::1'), '0:0:0:0::/64')
    assert.equal(networkOf('2001:db8:1:2::'), '2001:db8:1:2::/64')
  })
})
