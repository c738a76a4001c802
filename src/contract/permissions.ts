import type { RouteId } from './routes.ts'

/**
 * Who may do what. One row for each endpoint: the API refuses by this table, the tests try every row, and the
 * dashboard shows what a person may do. A new endpoint without a row does not compile.
 *
 * The roles, each of which may do all that the ones before it may:
 *   viewer  reads
 *   member  creates projects, deploys, changes their settings and variables
 *   admin   domains, connections and Apps, grants to agents; reads the audit
 *   owner   members and invitations, everybody's tokens, deletion
 *
 * Besides them: everyone (nobody signs in), signedIn (whoever is known, in an organization or not), person (a human
 * being in a browser: no token, no operator), operator (only at the machine of NanoScale itself).
 *
 * The scope is what an API token needs besides its maker's role. The last word says what the address names: whoever is
 * limited to some projects finds nothing behind the others.
 */
export const ROLES = ['viewer', 'member', 'admin', 'owner'] as const
export type RoleName = (typeof ROLES)[number]

export const SCOPES = {
  'projects:read': 'Read projects, deployments and logs',
  'projects:write': 'Create and change projects, variables and domains',
  'deployments:write': 'Deploy, roll back, cancel',
  'organization:read': 'Read the organization and its members',
  'organization:write': 'Change members, invitations and the organization: as good as its maker',
  'tokens:write': 'Make and revoke tokens, none that may do more',
  'audit:read': 'Read and export the audit',
  'instance:read': 'Read metrics and the state of this NanoScale',
} as const
export type Scope = keyof typeof SCOPES

/** What `{id}` of an address is. */
export type Subject = 'project' | 'deployment' | 'organization'

export interface Permission {
  readonly who: 'everyone' | 'signedIn' | 'person' | RoleName | 'operator'
  readonly scope: Scope | null
  readonly subject: Subject | null
}

const everyone: Permission = { who: 'everyone', scope: null, subject: null }
const signedIn: Permission = { who: 'signedIn', scope: null, subject: null }
const person: Permission = { who: 'person', scope: null, subject: null }
const operator: Permission = { who: 'operator', scope: null, subject: null }

function may(role: RoleName, scope: Scope, subject: Subject | null = null): Permission {
  return { who: role, scope, subject }
}

export const PERMISSIONS: { readonly [Id in RouteId]: Permission } = {
  // Without signing in
  home: everyone,
  health: everyone,
  readiness: everyone,
  openapi: everyone,
  docs: everyone,
  appSchema: everyone,
  'pages.setup': everyone,
  'pages.signIn': everyone,
  'pages.acceptInvitation': everyone,
  'pages.forgotPassword': everyone,
  'pages.resetPassword': everyone,
  'pages.account': everyone,
  'scripts.forms': everyone,
  'scripts.signIn': everyone,
  'scripts.account': everyone,
  'auth.providers': everyone,
  'auth.signIn': everyone,
  'auth.session': everyone,
  'auth.verifyTotp': everyone,
  'auth.verifyBackupCode': everyone,
  'auth.requestPasswordReset': everyone,
  'auth.resetPassword': everyone,
  'setup.read': everyone,
  'setup.complete': everyone,
  'oidc.start': everyone,
  'oidc.callback': everyone,
  // Clerk's signature is checked instead.
  'clerk.webhook': everyone,

  // Oneself
  me: signedIn,
  'me.update': person,
  'auth.signOut': person,
  'auth.changePassword': person,
  'auth.enableTwoFactor': person,
  'auth.disableTwoFactor': person,
  'auth.generateBackupCodes': person,
  'sessions.list': person,
  'sessions.end': person,
  'sessions.endOthers': person,
  'oidc.link': person,
  'identities.list': person,
  'identities.unlink': person,

  // Projects
  'projects.list': may('viewer', 'projects:read'),
  'projects.read': may('viewer', 'projects:read', 'project'),
  'projects.logs': may('viewer', 'projects:read', 'project'),
  'projects.create': may('member', 'projects:write'),
  'projects.update': may('member', 'projects:write', 'project'),
  'projects.delete': may('owner', 'projects:write', 'project'),
  'environment.list': may('viewer', 'projects:read', 'project'),
  'environment.set': may('member', 'projects:write', 'project'),
  'environment.unset': may('member', 'projects:write', 'project'),
  'domains.list': may('viewer', 'projects:read', 'project'),
  'domains.add': may('admin', 'projects:write', 'project'),
  'domains.remove': may('admin', 'projects:write', 'project'),

  // Deployments
  'deployments.list': may('viewer', 'projects:read', 'project'),
  'deployments.read': may('viewer', 'projects:read', 'deployment'),
  'deployments.logs': may('viewer', 'projects:read', 'deployment'),
  'projects.redeploy': may('member', 'deployments:write', 'project'),
  'projects.rollback': may('member', 'deployments:write', 'project'),
  'projects.reconcile': may('member', 'deployments:write', 'project'),
  'deployments.cancel': may('member', 'deployments:write', 'deployment'),

  // GitHub: its Apps, one's own account there, and what is installed where. Making an App and connecting an account go
  // through a browser: no token can
  'github.apps': may('admin', 'projects:read'),
  'github.manifest': may('admin', 'projects:write'),
  // Whoever began it, still an admin.
  'github.manifestCallback': person,
  'github.checkApp': may('admin', 'projects:write'),
  'github.addKey': may('admin', 'projects:write'),
  'github.rotateWebhookSecret': may('admin', 'projects:write'),
  'github.removeApp': may('owner', 'projects:write'),
  'github.start': may('member', 'projects:write'),
  'github.callback': person,
  'github.setup': person,
  'github.disconnect': person,
  'github.status': may('viewer', 'projects:read'),
  'github.installations': may('viewer', 'projects:read'),
  'github.unclaimed': may('member', 'projects:read'),
  'github.claim': may('admin', 'projects:write'),
  'github.page': everyone,
  // Members see what they reach at GitHub themselves, admins what the organization claimed.
  'github.repos': may('viewer', 'projects:read'),
  'github.repos.sync': may('member', 'projects:write'),
  'github.branches': may('member', 'projects:read'),

  // What Git hosts delivered, and what was made of it
  'deliveries.list': may('admin', 'projects:read'),
  'deliveries.read': may('admin', 'projects:read'),
  'deliveries.replay': may('admin', 'deployments:write'),

  // Organizations, who belongs to them, and who is asked to
  'organizations.list': signedIn,
  'organizations.create': may('owner', 'organization:write'),
  'organizations.read': may('viewer', 'organization:read', 'organization'),
  'organizations.update': may('owner', 'organization:write', 'organization'),
  'organizations.close': may('owner', 'organization:write', 'organization'),
  'organizations.reopen': { ...operator, subject: 'organization' },
  'metadata.read': may('viewer', 'organization:read', 'organization'),
  'metadata.update': may('admin', 'organization:write', 'organization'),
  'members.list': may('viewer', 'organization:read', 'organization'),
  'members.update': may('owner', 'organization:write', 'organization'),
  'members.remove': may('owner', 'organization:write', 'organization'),
  'members.leave': { ...person, subject: 'organization' },
  'members.resetLink': may('owner', 'organization:write', 'organization'),
  'invitations.list': may('owner', 'organization:read', 'organization'),
  'invitations.create': may('owner', 'organization:write', 'organization'),
  'invitations.revoke': may('owner', 'organization:write', 'organization'),
  'invitations.read': everyone,
  'invitations.accept': everyone,

  // Tokens: everybody's own; those of others are the owners' business
  'tokens.list': may('viewer', 'organization:read'),
  'tokens.create': may('viewer', 'tokens:write'),
  'tokens.revoke': may('viewer', 'tokens:write'),

  // Who did what. Verifying concerns all organizations at once
  'audit.list': may('admin', 'audit:read'),
  'audit.export': may('admin', 'audit:read'),
  'audit.verify': operator,

  // The instance
  'instance.read': may('admin', 'instance:read'),
  metrics: may('admin', 'instance:read'),
  'setup.link': operator,
  'keys.status': operator,
  'keys.rotate': operator,
  'keys.retire': operator,
}
