import type { Tx } from '../database/database.ts'
import type { GithubApp, InstallationFacts } from '../githosts/github-host.ts'
import type { Secret } from '../lib/secret.ts'
import {
  replaceInstallationUsers,
  saveInstallation,
  type AccountRole,
} from './installation-records.ts'
import type { IntegrationDeps } from './integration-deps.ts'

/** An installation that GitHub lists for a person, with what they are to its account. */
export interface VerifiedInstallation {
  facts: InstallationFacts
  role: AccountRole
}

/** Who somebody is at GitHub, with a token of theirs. */
export interface GithubPerson {
  userId: string
  githubUserId: number
  token: Secret
}

/** No person has more; one who had would wait for ever. */
const MAX_INSTALLATIONS = 1000

/**
 * Asks GitHub, as this person, which installations of the App they reach. An id from anywhere else is worth nothing.
 * What they are to an organization is `none` when the App may not read its members.
 */
export async function verifyInstallations(
  { github }: Pick<IntegrationDeps, 'github'>,
  app: GithubApp,
  person: GithubPerson,
  signal: AbortSignal,
): Promise<VerifiedInstallation[]> {
  const verified: VerifiedInstallation[] = []
  for await (const facts of github.listUserInstallations(app, person.token, signal)) {
    if (facts.appId !== app.appId) continue
    const role = await readRole({ github }, app, person, { facts, signal })
    verified.push({ facts, role })
    if (verified.length === MAX_INSTALLATIONS) break
  }
  return verified
}

async function readRole(
  { github }: Pick<IntegrationDeps, 'github'>,
  app: GithubApp,
  { githubUserId, token }: GithubPerson,
  { facts, signal }: { facts: InstallationFacts; signal: AbortSignal },
): Promise<AccountRole> {
  const { account } = facts
  if (account.type === 'User') return account.id === githubUserId ? 'self' : 'none'
  if (account.type !== 'Organization') return 'none'
  return (await github.readOrganizationRole(app, token, account.login, signal)) ?? 'none'
}

/** Stores what was verified. `newIds` has one id for each. */
export async function saveVerified(
  tx: Tx,
  save: {
    integrationId: string
    person: Pick<GithubPerson, 'userId' | 'githubUserId'>
    verified: readonly VerifiedInstallation[]
    newId: () => string
    now: string
  },
): Promise<void> {
  const { integrationId, person, verified, newId, now } = save
  const roles: { rowId: string; role: AccountRole }[] = []
  for (const { facts, role } of verified) {
    const { userId } = person
    const row = { newId: newId(), integrationId, facts, userId, now }
    roles.push({ rowId: await saveInstallation(tx, row), role })
  }
  await replaceInstallationUsers(tx, { integrationId, ...person, now, roles })
}
