import { createHash } from 'node:crypto'

import { z } from 'zod'

import type { Clock } from '../../lib/clock.ts'
import type { Secret } from '../../lib/secret.ts'
import type { GithubApp, GithubHost, InstallationFacts, RepositoryFacts } from '../github-host.ts'
import { type Answer, type Asker, expectSuccess, paginate, read } from './ask.ts'
import {
  installationsShape,
  repositoryShape,
  toInstallationFacts,
  toRepositoryFacts,
  userShape,
} from './facts.ts'
import type { TokenMemory } from './secret-memory.ts'

type AsPerson = Pick<
  GithubHost,
  | 'revokeGrant'
  | 'readUser'
  | 'listUserInstallations'
  | 'listUserRepositories'
  | 'readOrganizationRole'
  | 'readUserRepository'
>

interface Deps {
  clock: Pick<Clock, 'now'>
  asker: Asker
  memory: TokenMemory
}

/** Longer than a token that is in use. */
const TOKEN_MS = 8 * 3_600_000

/** What a person asks through the App that they authorized. */
export function createAsPerson(deps: Deps): AsPerson {
  const get = async (app: GithubApp, token: Secret, path: string, signal: AbortSignal) => {
    deps.memory.keep(token, deps.clock.now() + TOKEN_MS)
    const authorization = `Bearer ${token.reveal()}`
    const limitedBy = `${app.apiUrl} person ${digest(token)}`
    return await deps.asker.ask(
      { site: app, method: 'GET', path, authorization, limitedBy },
      signal,
    )
  }
  return {
    revokeGrant: async (app, token, signal) => {
      deps.memory.keep(token, deps.clock.now() + TOKEN_MS)
      const client = Buffer.from(`${app.clientId}:${app.clientSecret.reveal()}`)
      const question = {
        site: app,
        method: 'DELETE',
        path: `/applications/${encodeURIComponent(app.clientId)}/grant`,
        authorization: `Basic ${client.toString('base64')}`,
        body: { access_token: token.reveal() },
        limitedBy: `${app.apiUrl} client ${app.clientId}`,
      } as const
      const answer = await deps.asker.ask(question, signal)
      // Nothing is granted to a token that GitHub does not know.
      if (answer.status !== 404 && answer.status !== 422) {
        expectSuccess('end the authorization', answer)
      }
    },
    readUser: async (app, token, signal) =>
      read('read the GitHub account', await get(app, token, '/user', signal), userShape),
    listUserInstallations: (app, token, signal) =>
      listUserInstallations((path) => get(app, token, path, signal)),
    listUserRepositories: (app, token, installationId, signal) =>
      listUserRepositories(app, installationId, (path) => get(app, token, path, signal)),
    readOrganizationRole: async (app, token, login, signal) => {
      const path = `/user/memberships/orgs/${encodeURIComponent(login)}`
      return toRole(await get(app, token, path, signal))
    },
    readUserRepository: async (app, token, repoId, signal) => {
      const answer = await get(app, token, `/repositories/${repoId}`, signal)
      const found = read(`read the repository "${repoId}"`, answer, repositoryShape)
      return toRepositoryFacts(app, found)
    },
  }
}

function digest(token: Secret): string {
  return createHash('sha256').update(token.reveal()).digest('hex')
}

async function* listUserInstallations(
  get: (path: string) => Promise<Answer>,
): AsyncGenerator<InstallationFacts, void, undefined> {
  const shape = z.object({ installations: installationsShape })
  for await (const answer of paginate('/user/installations?per_page=100', get)) {
    const { installations } = read('list installations', answer, shape)
    yield* installations.map(toInstallationFacts)
  }
}

async function* listUserRepositories(
  app: GithubApp,
  installationId: number,
  get: (path: string) => Promise<Answer>,
): AsyncGenerator<readonly RepositoryFacts[], void, undefined> {
  const shape = z.object({ repositories: z.array(repositoryShape) })
  const path = `/user/installations/${installationId}/repositories?per_page=100`
  for await (const answer of paginate(path, get)) {
    const { repositories } = read('list repositories', answer, shape)
    yield repositories.map((repository) => toRepositoryFacts(app, repository))
  }
}

const membershipShape = z.object({ state: z.string(), role: z.string() })

/** An invitation that was not accepted yet is no role. */
function toRole(answer: Answer): 'admin' | 'member' | null {
  if (answer.status === 403 || answer.status === 404) return null
  const { state, role } = read('read the role in the organization', answer, membershipShape)
  if (state !== 'active') return null
  return role === 'admin' || role === 'member' ? role : null
}
