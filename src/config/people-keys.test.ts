import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'

import { isOperationError } from '../lib/errors.ts'
import { loadConfig, type Environment } from './config.ts'

const load = (env: Environment) => loadConfig(env, { uid: 1000, homeDirectory: '/home/ada' })

function refusedNames(env: Environment): string[] {
  try {
    load(env)
    return []
  } catch (error) {
    assert.ok(isOperationError(error, 'config.invalid'))
    return Object.keys(error.details ?? {})
  }
}

describe('settings of people and identity providers', () => {
  it('are all off by default', () => {
    const config = load({})
    assert.equal(config.smtpUrl, null)
    assert.equal(config.oidcIssuer, null)
    assert.equal(config.clerkIssuer, null)
    assert.equal(config.clerkWebhookSecret, null)
    assert.deepEqual(config.clerkRoles, { 'org:admin': 'admin', 'org:member': 'member' })
  })

  it('name what is missing beside what is set', () => {
    const smtp = { NANOSCALE_SMTP_URL: 'smtps://user:pass@mail.example.com' }
    assert.deepEqual(refusedNames(smtp), ['NANOSCALE_MAIL_FROM'])
    assert.deepEqual(refusedNames({ NANOSCALE_OIDC_ISSUER: 'https://id.example.com' }), [
      'NANOSCALE_OIDC_CLIENT_ID',
    ])
    assert.deepEqual(refusedNames({ NANOSCALE_OIDC_CLIENT_SECRET: 'x' }), ['NANOSCALE_OIDC_ISSUER'])
    assert.deepEqual(refusedNames({ NANOSCALE_CLERK_JWKS_URL: 'https://clerk.example.com/keys' }), [
      'NANOSCALE_CLERK_ISSUER',
    ])
  })

  it('refuse what is not safe or not understood', () => {
    const wrong = {
      NANOSCALE_OIDC_ISSUER: ['http://id.example.com', 'https://a:b@id.example.com', 'id.example'],
      NANOSCALE_CLERK_ISSUER: ['https://clerk.example.com?x=1', 'ftp://clerk.example.com'],
      NANOSCALE_MAIL_FROM: ['NanoScale <a@example.com>', 'a@b@c', 'a@example.com,b@example.com'],
      NANOSCALE_SMTP_URL: ['mail.example.com', 'https://mail.example.com'],
      NANOSCALE_CLERK_WEBHOOK_SECRET: ['whsec_', 'secret', `whsec_${'A'.repeat(20)}`, 'whsec_a,b'],
      NANOSCALE_CLERK_ROLES: ['org:admin', 'org:admin=root', 'a=b=owner'],
      NANOSCALE_SESSION_DAYS: ['0', '366', 'week'],
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) assert.ok(refusedNames({ [name]: value }).includes(name), value)
    }
    assert.deepEqual(refusedNames({ NANOSCALE_CLERK_ISSUER: 'http://127.0.0.1:4001' }), [])
  })

  it('never print the password of the mail server', () => {
    const config = load({
      NANOSCALE_SMTP_URL: 'smtps://user:hunter2@mail.example.com',
      NANOSCALE_MAIL_FROM: 'nanoscale@example.com',
    })
    assert.doesNotMatch(inspect(config, { depth: 5 }), /hunter2/)
  })

  it('map roles of Clerk', () => {
    const { clerkRoles } = load({ NANOSCALE_CLERK_ROLES: 'org:admin=owner, org:dev=member' })
    assert.deepEqual(clerkRoles, { 'org:admin': 'owner', 'org:dev': 'member' })
  })
})
