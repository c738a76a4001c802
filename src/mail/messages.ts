import type { MailMessage } from './create-mailer.ts'

type Content = Omit<MailMessage, 'to'>

/** Days and minutes in Universal Time, as everybody's clock can be set against it. */
function moment(iso: string): string {
  const [date = '', time = ''] = iso.split('T')
  return `${date} at ${time.slice(0, 5)} UTC`
}

/** Names are people's own words: on one line, and not long enough to tell a story. */
function inline(name: string): string {
  return name
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 100)
}

/** Somebody is asked to join an organization. `expiresAt` is ISO time. */
export function invitationMessage(facts: {
  organization: string
  /** Who invites; null is the operator. */
  inviter: string | null
  role: string
  link: string
  expiresAt: string
}): Content {
  const organization = inline(facts.organization)
  const by = facts.inviter === null ? 'You are invited' : `${inline(facts.inviter)} invites you`
  return {
    subject: `Invitation to ${organization} on NanoScale`,
    text: `Hello,

${by} to join ${organization} on NanoScale, as ${facts.role}.

Accept the invitation here:

${facts.link}

The link works once, until ${moment(facts.expiresAt)}.

If you did not expect this, you need not do anything: nothing happens unless the link is opened.
`,
  }
}

/** Somebody wants to choose a new password. `expiresAt` is ISO time. */
export function passwordResetMessage(facts: {
  name: string
  email: string
  link: string
  expiresAt: string
}): Content {
  const name = inline(facts.name)
  return {
    subject: 'A new password for NanoScale',
    text: `Hello${name === '' ? '' : ` ${name}`},

somebody, most likely you, asked for a new password for ${facts.email} on NanoScale.

Choose it here:

${facts.link}

The link works once, until ${moment(facts.expiresAt)}. All browsers that are signed in will be signed out.

If it was not you, ignore this mail: your password stays as it is. If it happens again, tell an owner of your
organization.
`,
  }
}
