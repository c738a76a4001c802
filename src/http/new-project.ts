import type { RouteInput } from '../contract/route.ts'
import type { Routes } from '../contract/routes.ts'
import { linkProject, resolveGithubSource } from '../integrations/github-source.ts'
import { messageOf, OperationError } from '../lib/errors.ts'
import type { NewProject } from '../projects/create-project.ts'
import { requireBranchName } from '../sources/branch-name.ts'
import { askerOf } from './github-repository-handlers.ts'
import type { RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { unmasked } from './masked-values.ts'

type Body = RouteInput<Routes['projects.create']>['body']

/** Creation does not wait longer for the webhook: the sweep makes it then. */
const FIRST_HOOK_MS = 10_000

interface PreparedProject {
  input: NewProject
  /** The hook that is to be made at GitHub, known once the project is stored. */
  hook: { id: string | null }
}

/** The project that a body asks for, with the rights on its source checked where it is linked. */
export async function newProjectOf(
  app: HttpApp,
  body: Body,
  request: RequestFacts,
): Promise<PreparedProject> {
  const { github_source: chosen, repo_url, branch, environment, ...rest } = body
  const common = {
    ...(withoutUndefined(rest) as typeof rest),
    environment: unmasked(environment ?? []),
  }
  if (chosen === undefined) {
    if (repo_url === undefined || branch === undefined) {
      const sentence = 'Cannot make a project: it has no source'
      throw new OperationError('http.invalid', sentence)
    }
    const input = { ...common, repo_url, branch } as NewProject
    return { input, hook: { id: null } }
  }
  requireBranchName(chosen.selected_branch)
  const choice = {
    integrationId: chosen.integration_id ?? null,
    installationId: chosen.installation_id,
    repoId: chosen.repo_id,
  }
  const source = await resolveGithubSource(app, askerOf(request), choice, request.signal)
  const hook: PreparedProject['hook'] = { id: null }
  const input = {
    ...common,
    repo_url: source.facts.cloneUrl,
    branch: chosen.selected_branch,
    linked: {
      provider: 'github',
      repositoryId: source.facts.id,
      store: async (tx, project) => {
        hook.id = await linkProject(app, tx, project, source)
      },
    },
  } as NewProject
  return { input, hook }
}

/** A webhook that cannot be made fails no project: what is wrong is in its row, and tried again. */
export async function keepFirstHook(
  app: HttpApp,
  hookId: string | null,
  signal: AbortSignal,
): Promise<void> {
  if (hookId === null) return
  try {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(FIRST_HOOK_MS)])
    await app.githubRepositories.hooks.keep(hookId, deadline)
  } catch (error) {
    app.log.warn('A webhook was not made at once', { hookId, reason: messageOf(error) })
  }
}

/** Fields that were not sent stay as they are: they must not be there at all. */
export function withoutUndefined(body: object): object {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
}
