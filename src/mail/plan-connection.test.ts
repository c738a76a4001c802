import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { planConnection } from './plan-connection.ts'

function plan(url: string) {
  const { host, port, secure, requireTLS, ignoreTLS, tls } = planConnection(new URL(url))
  assert.equal(tls.rejectUnauthorized, true)
  return { host, port, secure, requireTLS, ignoreTLS }
}

describe('planConnection()', () => {
  it('encrypts whatever leaves the machine', () => {
    const elsewhere = { secure: false, requireTLS: true, ignoreTLS: false }
    assert.deepEqual(plan('smtp://mail.example.com'), {
      host: 'mail.example.com',
      port: 587,
      ...elsewhere,
    })
    assert.deepEqual(plan('smtp://10.0.0.5:25'), { host: '10.0.0.5', port: 25, ...elsewhere })
    const loopbackOfAName = plan('smtp://127.0.0.1.example.com')
    assert.equal(loopbackOfAName.requireTLS, true)
  })

  it('has TLS from the beginning with smtps', () => {
    const fromTheBeginning = { secure: true, requireTLS: false, ignoreTLS: false }
    assert.deepEqual(plan('smtps://mail.example.com'), {
      host: 'mail.example.com',
      port: 465,
      ...fromTheBeginning,
    })
    assert.equal(plan('smtps://localhost').secure, true)
  })

  it('talks to a relay of this machine in the clear', () => {
    for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '[::1]']) {
      const { port, requireTLS, ignoreTLS } = plan(`smtp://${host}`)
      assert.deepEqual(
        { port, requireTLS, ignoreTLS },
        { port: 25, requireTLS: false, ignoreTLS: true },
      )
    }
    assert.equal(plan('smtp://[::1]').host, '::1')
  })

  it('reads the account, however the password is spelled', () => {
    const { auth } = planConnection(new URL('smtp://a%40b.example:p%2Fw%20d@mail.example.com'))
    assert.deepEqual(auth, { user: 'a@b.example', pass: 'p/w d' })
    const stray = planConnection(new URL('smtp://user:100%@mail.example.com'))
    assert.equal(stray.auth?.pass, '100%')
    assert.equal(planConnection(new URL('smtp://mail.example.com')).auth, undefined)
  })
})
