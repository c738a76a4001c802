import { key } from './config-key.ts'
import { integerBetween, listOf, originUrl, secret } from './config-values.ts'
import {
  clerkRoles,
  issuerUrl,
  line,
  mailAddress,
  publicKeyPem,
  smtpUrl,
  webhookSecrets,
  word,
  type ClerkRoles,
} from './identity-values.ts'

const DEFAULT_CLERK_ROLES = { 'org:admin': 'admin', 'org:member': 'member' } as const

/** People, how they are reached, and what is kept about what they did. */
export const PEOPLE = {
  smtpUrl: key({
    env: 'NANOSCALE_SMTP_URL',
    doc:
      'Mail server for invitations and reset links. Without it whoever makes such a link is shown it, to pass it on. ' +
      '`smtps://` is TLS from the beginning, `smtp://` upgrades by STARTTLS.',
    parse: smtpUrl,
    default: null,
    defaultDoc: 'none',
    example: 'smtps://user:password@mail.example.com',
    secret: true,
  }),
  mailFrom: key({
    env: 'NANOSCALE_MAIL_FROM',
    doc: 'Sender of these mails.',
    parse: mailAddress,
    default: null,
    defaultDoc: 'none; needed with NANOSCALE_SMTP_URL',
    example: 'nanoscale@example.com',
  }),
  sessionDays: key({
    env: 'NANOSCALE_SESSION_DAYS',
    doc: 'Days after which a browser that was not used is signed out.',
    parse: integerBetween(1, 365),
    default: 7,
    example: '30',
  }),
  requestsPerMinute: key({
    env: 'NANOSCALE_REQUESTS_PER_MINUTE',
    doc: 'Requests that one token or browser may make to the API in a minute.',
    parse: integerBetween(10, 1_000_000),
    default: 600,
    example: '3000',
  }),
  auditRetentionDays: key({
    env: 'NANOSCALE_AUDIT_RETENTION_DAYS',
    doc: 'Days after which audit events are removed.',
    parse: integerBetween(1, 36_500),
    default: 400,
    example: '3650',
  }),
}

/** Identity providers beside NanoScale's own accounts. */
export const IDENTITY_PROVIDERS = {
  oidcIssuer: key({
    env: 'NANOSCALE_OIDC_ISSUER',
    doc: 'OpenID Connect provider with which people may sign in, besides their password.',
    parse: issuerUrl,
    default: null,
    defaultDoc: 'none',
    example: 'https://id.example.com/realms/team',
  }),
  oidcClientId: key({
    env: 'NANOSCALE_OIDC_CLIENT_ID',
    doc: 'Client id of NanoScale at that provider; its redirect URI is `<public address>/api/auth/callback/oidc`.',
    parse: word,
    default: null,
    defaultDoc: 'none; needed with NANOSCALE_OIDC_ISSUER',
    example: 'nanoscale',
  }),
  oidcClientSecret: key({
    env: 'NANOSCALE_OIDC_CLIENT_SECRET',
    doc: 'Client secret at that provider. A public client has none.',
    parse: secret,
    default: null,
    defaultDoc: 'none',
    example: '<from the provider>',
    secret: true,
  }),
  oidcName: key({
    env: 'NANOSCALE_OIDC_NAME',
    doc: 'What the button for it says after "Sign in with".',
    parse: line,
    default: 'single sign-on',
    example: 'Keycloak',
  }),
  clerkWebhookSecret: key({
    env: 'NANOSCALE_CLERK_WEBHOOK_SECRET',
    doc:
      'Signing secret of the Clerk endpoint `<public address>/api/identity/clerk/webhook`: Clerk then feeds people, ' +
      'organizations and memberships. During a rotation both, separated by a comma.',
    parse: webhookSecrets,
    default: null,
    defaultDoc: 'none',
    example: 'whsec_MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1u',
    secret: true,
  }),
  clerkIssuer: key({
    env: 'NANOSCALE_CLERK_ISSUER',
    doc: "Issuer of Clerk's session tokens (its Frontend API URL): the API then accepts them as bearer tokens.",
    parse: issuerUrl,
    default: null,
    defaultDoc: 'none',
    example: 'https://clerk.example.com',
  }),
  clerkJwksUrl: key({
    env: 'NANOSCALE_CLERK_JWKS_URL',
    doc: 'Where the keys of these session tokens are.',
    parse: issuerUrl,
    default: null,
    defaultDoc: '<NANOSCALE_CLERK_ISSUER>/.well-known/jwks.json',
    example: 'https://clerk.example.com/.well-known/jwks.json',
  }),
  clerkJwtKey: key({
    env: 'NANOSCALE_CLERK_JWT_KEY',
    doc: 'The public key of these session tokens as PEM, instead of an address: nothing is fetched then.',
    parse: publicKeyPem,
    default: null,
    defaultDoc: 'none',
    example: '-----BEGIN PUBLIC KEY-----…',
  }),
  clerkAuthorizedParties: key({
    env: 'NANOSCALE_CLERK_AUTHORIZED_PARTIES',
    doc: 'Origins whose session tokens are accepted (their `azp`).',
    parse: listOf(originUrl),
    default: [],
    defaultDoc: 'any that the issuer signed',
    example: 'https://app.example.com',
  }),
  clerkRoles: key<ClerkRoles>({
    env: 'NANOSCALE_CLERK_ROLES',
    doc: 'Which role of ours a role of Clerk is; one that is not named is viewer.',
    parse: clerkRoles,
    default: DEFAULT_CLERK_ROLES,
    defaultDoc: 'org:admin=admin, org:member=member',
    example: 'org:admin=owner, org:developer=member',
  }),
}
