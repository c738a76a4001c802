import { Secret } from '../lib/secret.ts'
import { parseWebhookSecrets } from '../lib/webhook-secrets.ts'
import { isHostname, type Parse } from './config-values.ts'

/** Clerk's name of a role → ours. */
export type ClerkRoles = Readonly<Record<string, (typeof ROLES)[number]>>

const ROLES = ['owner', 'admin', 'member', 'viewer'] as const

export const smtpUrl: Parse<Secret> = (text) => {
  const url = URL.parse(text)
  const known = url !== null && /^smtps?:$/.test(url.protocol) && url.hostname !== ''
  return known
    ? { value: new Secret(text) }
    : { problem: 'must be an address such as smtps://user:password@mail.example.com' }
}

/** One bare address: what else a header may hold is not needed here. */
export const mailAddress: Parse<string> = (text) => {
  const [, domain] = /^[^\s@<>,;:"()]+@([^\s@]+)$/.exec(text) ?? []
  return domain !== undefined && isHostname(domain.toLowerCase())
    ? { value: text }
    : { problem: 'must be a mail address such as nanoscale@example.com, without a name' }
}

/** As the provider spells it: issuers are compared exactly. */
export const issuerUrl: Parse<string> = (text) => {
  const url = URL.parse(text)
  const plain = url !== null && url.search === '' && url.hash === '' && url.username === ''
  const loopback = url !== null && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)
  const safe = url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)
  return plain && safe
    ? { value: text }
    : { problem: 'must be an https address such as https://id.example.com, without a query' }
}

export const word: Parse<string> = (text) =>
  /^[\x21-\x7e]{1,200}$/.test(text)
    ? { value: text }
    : { problem: 'must be one word of at most 200 characters' }

export const line: Parse<string> = (text) =>
  /^[^\p{C}]{1,60}$/u.test(text)
    ? { value: text }
    : { problem: 'must be one line of at most 60 characters' }

/** What Standard Webhooks are signed with; several while one replaces the other. */
export const webhookSecrets: Parse<Secret> = (text) =>
  parseWebhookSecrets(text) === null
    ? {
        problem:
          'must be whsec_ and at least 24 bytes in base64, as Clerk shows it; or several, separated by commas',
      }
    : { value: new Secret(text) }

/** Line breaks may be written as `\\n`, since environment files seldom hold real ones. Whether it is a key is checked later. */
export const publicKeyPem: Parse<string> = (text) =>
  text.startsWith('-----BEGIN PUBLIC KEY-----')
    ? { value: text.replaceAll('\\n', '\n') }
    : { problem: 'must be a public key as PEM, which begins with -----BEGIN PUBLIC KEY-----' }

export const clerkRoles: Parse<ClerkRoles> = (text) => {
  const value: Record<string, (typeof ROLES)[number]> = {}
  for (const part of text.split(/[\s,]+/).filter((item) => item !== '')) {
    const [theirs = '', name = '', ...rest] = part.split('=')
    const role = ROLES.find((candidate) => candidate === name)
    if (theirs === '' || role === undefined || rest.length > 0) {
      return { problem: `has the entry "${part}", which must be such as org:admin=owner` }
    }
    value[theirs] = role
  }
  return { value }
}
