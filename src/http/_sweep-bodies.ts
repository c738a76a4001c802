/** A valid body for each operation that takes JSON. A new one without an example fails the sweep. */
import type { RouteId } from '../contract/routes.ts'
import { REPO } from './_test-app.ts'

const password = { password: 'correct horse battery' }

export const BODIES: Partial<Record<RouteId, object>> = {
  'projects.create': { name: 'new', ...REPO, environment: [{ name: 'A', value: 'b' }] },
  'projects.update': { branch: 'next' },
  'projects.redeploy': {},
  'projects.rollback': {},
  'environment.set': { variables: [{ name: 'A', value: 'b' }] },
  'domains.add': { hostname: 'www.example.net' },
  'tokens.create': { name: 'laptop' },
  'organizations.create': { name: 'New' },
  'organizations.update': { name: 'Renamed' },
  'metadata.update': { team_size: '1-5' },
  'members.update': { role: 'viewer' },
  'invitations.create': { email: 'ada@example.com', role: 'viewer' },
  'invitations.read': { token: 'x'.repeat(43) },
  'invitations.accept': { token: 'x'.repeat(43) },
  'github.manifest': { owner: { kind: 'personal' }, preset: 'deploy' },
  'github.start': {},
  'github.disconnect': {},
  'github.repos.sync': { installation_id: 10 },
  'github.addKey': { private_key: 'x' },
  'oidc.start': {},
  'oidc.link': {},
  'auth.signIn': { email: 'ada@example.com', ...password },
  'auth.verifyTotp': { code: '123456' },
  'auth.verifyBackupCode': { code: 'aaaaa-bbbbb' },
  'auth.enableTwoFactor': password,
  'auth.disableTwoFactor': password,
  'auth.generateBackupCodes': password,
  'auth.requestPasswordReset': { email: 'ada@example.com' },
  'auth.resetPassword': { token: 'x', newPassword: password.password },
  'auth.changePassword': { currentPassword: 'x', newPassword: password.password },
  'me.update': { name: 'Ada' },
  'setup.complete': {
    token: 'x',
    name: 'Ada',
    email: 'ada@example.com',
    ...password,
    organization_name: 'Ours',
  },
}
