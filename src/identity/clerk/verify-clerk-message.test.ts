import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, it } from 'node:test'

import { Webhook } from 'standardwebhooks'

import { verifyClerkMessage } from './verify-clerk-message.ts'

const KEY = Buffer.alloc(24, 3)
const OTHER_KEY = Buffer.alloc(24, 4)
const BODY = Buffer.from('{"type":"user.created","data":{"first_name":"Žofie 🚀"}}')
const NOW = Date.UTC(2026, 5, 1, 12, 0, 0)
const SECONDS = String(NOW / 1000)
const ID = 'msg_2abcDEF'

function sign(key: Uint8Array, message: { id?: string; seconds?: string; body?: Buffer } = {}) {
  const { id = ID, seconds = SECONDS, body = BODY } = message
  const digest = createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest()
  return `v1,${digest.toString('base64')}`
}

function headersOf(changes: Record<string, string | null> = {}): Headers {
  const given = {
    'svix-id': ID,
    'svix-timestamp': SECONDS,
    'svix-signature': sign(KEY),
    ...changes,
  }
  return new Headers(
    Object.entries(given).flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
  )
}

const verify = (headers: Headers, keys: Uint8Array[] = [KEY], now = NOW, rawBody = BODY) =>
  verifyClerkMessage({ rawBody, headers }, keys, now)

const isValid = (...given: Parameters<typeof verify>) => verify(...given).valid

describe('verifyClerkMessage()', () => {
  it('accepts what the library of Standard Webhooks signs, under either name of the headers', () => {
    const webhook = new Webhook(`whsec_${KEY.toString('base64')}`)
    const signature = webhook.sign(ID, new Date(NOW), BODY.toString())
    assert.equal(signature, sign(KEY))
    assert.deepEqual(verify(headersOf({ 'svix-signature': signature })), { valid: true, id: ID })
    const standard = new Headers({
      'webhook-id': ID,
      'webhook-timestamp': SECONDS,
      'webhook-signature': signature,
    })
    assert.deepEqual(verify(standard), { valid: true, id: ID })
  })

  it('signs as the library verifies', () => {
    const now = Math.floor(Date.now() / 1000)
    const webhook = new Webhook(`whsec_${KEY.toString('base64')}`)
    const headers = {
      'webhook-id': ID,
      'webhook-timestamp': String(now),
      'webhook-signature': sign(KEY, { seconds: String(now) }),
    }
    assert.deepEqual(webhook.verify(BODY, headers), JSON.parse(BODY.toString()))
    assert.equal(isValid(new Headers(headers), [KEY], now * 1000), true)
  })

  it('W-30 accepts a list of signatures with a right one, and either key of a rotation', () => {
    const wrong = sign(OTHER_KEY)
    assert.equal(isValid(headersOf({ 'svix-signature': `${wrong} ${sign(KEY)}` })), true)
    assert.equal(isValid(headersOf({ 'svix-signature': `v2,abc ${sign(KEY)}` })), true)
    assert.equal(isValid(headersOf(), [OTHER_KEY, KEY]), true)
    assert.equal(isValid(headersOf(), [OTHER_KEY]), false)
    assert.equal(isValid(headersOf(), []), false)
  })

  it('W-30 refuses messages more than five minutes away, in both directions', () => {
    assert.equal(isValid(headersOf(), [KEY], NOW + 300_000), true)
    assert.equal(isValid(headersOf(), [KEY], NOW - 300_000), true)
    assert.equal(isValid(headersOf(), [KEY], NOW + 300_001), false)
    assert.equal(isValid(headersOf(), [KEY], NOW - 300_001), false)
  })

  it('W-30 refuses another id, time or body than those that were signed', () => {
    assert.equal(isValid(headersOf({ 'svix-id': 'msg_2abcDEG' })), false)
    assert.equal(isValid(headersOf({ 'svix-timestamp': String(NOW / 1000 + 1) })), false)
    assert.equal(isValid(headersOf(), [KEY], NOW, Buffer.concat([BODY, Buffer.from(' ')])), false)
    assert.equal(isValid(headersOf(), [KEY], NOW, Buffer.alloc(0)), false)
  })

  it('W-05 refuses signatures that are shorter, longer, of other encodings and versions', () => {
    const right = sign(KEY)
    const digest = right.slice('v1,'.length)
    const hex = Buffer.from(digest, 'base64').toString('hex')
    const hostile = [
      '',
      'v1,',
      'v1',
      digest,
      `v0,${digest}`,
      `v2,${digest}`,
      `v1a,${digest}`,
      `V1,${digest}`,
      `v1,${digest.slice(0, -4)}`,
      `v1,${digest.slice(0, -1)}`,
      `v1,${digest}AAAA`,
      `v1,${hex}`,
      `v1,${hex.toUpperCase()}`,
      `v1=${digest}`,
      `sha256=${hex}`,
      `v1,${'A'.repeat(43)}=`,
      `v1,é${digest.slice(1)}`,
      `${right},${right}`,
      `${right}, ${right}`,
      `v1,x  ${right}`,
      Array.from({ length: 11 }, () => right).join(' '),
    ]
    for (const signature of hostile) {
      assert.equal(isValid(headersOf({ 'svix-signature': signature })), false, signature)
    }
  })

  it('refuses headers that are missing, malformed or there twice', () => {
    for (const name of ['svix-id', 'svix-timestamp', 'svix-signature']) {
      assert.equal(isValid(headersOf({ [name]: null })), false, name)
      assert.equal(isValid(headersOf({ [name]: '' })), false, name)
      const twice = headersOf()
      twice.append(name, twice.get(name) ?? '')
      assert.equal(isValid(twice), false, name)
    }
    for (const seconds of ['1e9', '-1', ' ', '0x10', `${SECONDS}.0`, `${SECONDS}000`, 'NaN']) {
      const signed = { 'svix-timestamp': seconds, 'svix-signature': sign(KEY, { seconds }) }
      assert.equal(isValid(headersOf(signed)), false, seconds)
    }
  })

  it('never takes one half of the headers from each family', () => {
    const mixed = new Headers({
      'webhook-id': ID,
      'svix-timestamp': SECONDS,
      'svix-signature': sign(KEY),
    })
    assert.equal(isValid(mixed), false)
  })
})
