import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { invitationMessage, passwordResetMessage } from './messages.ts'

const LINK = 'https://nanoscale.example.com/accept-invitation#token=abc'
const EXPIRES = '2026-03-01T09:05:59.123Z'

describe('invitationMessage()', () => {
  const facts = {
    organization: 'Acme',
    inviter: 'Ada',
    role: 'member',
    link: LINK,
    expiresAt: EXPIRES,
  }

  it('says who invites, where to, as what, and until when', () => {
    const { subject, text } = invitationMessage(facts)
    assert.equal(subject, 'Invitation to Acme on NanoScale')
    assert.match(text, /Ada invites you to join Acme on NanoScale, as member/)
    assert.ok(text.split('\n').includes(LINK), 'the link has a line of its own')
    assert.match(text, /until 2026-03-01 at 09:05 UTC/)
    assert.match(text, /If you did not expect this/)
    assert.match(invitationMessage({ ...facts, inviter: null }).text, /You are invited to join/)
  })

  it('keeps names from telling a story of their own', () => {
    const organization = `Acme\r\n\r\nYour account is locked: ${'x'.repeat(500)}`
    const { subject, text } = invitationMessage({ ...facts, organization })
    assert.doesNotMatch(subject, /[\r\n]/)
    assert.ok(subject.length < 140)
    assert.doesNotMatch(text, /\n\s*Your account/)
  })
})

describe('passwordResetMessage()', () => {
  it('says for whom it is, until when, and what to do if it was not you', () => {
    const { subject, text } = passwordResetMessage({
      name: 'Ada',
      email: 'ada@example.com',
      link: LINK,
      expiresAt: EXPIRES,
    })
    assert.equal(subject, 'A new password for NanoScale')
    assert.match(text, /Hello Ada,/)
    assert.match(text, /for ada@example\.com/)
    assert.ok(text.split('\n').includes(LINK))
    assert.match(text, /until 2026-03-01 at 09:05 UTC/)
    assert.match(text, /If it was not you, ignore this mail/)
  })
})
