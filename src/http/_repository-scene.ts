/** The scene of GitHub with what reads repositories and keeps hooks. */
import type { FakeGithub } from '../../test/fake-github/start-fake-github.ts'
import type { Database } from '../database/database.ts'
import { createGithubRepositories } from '../integrations/github-repositories.ts'
import { silentLogger } from '../lib/logger.ts'
import { API, expectJson, githubScene } from './_github-scene.ts'
import type { TestBrowser } from './_test-app.ts'

export type RepositoryScene = Awaited<ReturnType<typeof repositoryScene>>

/** The App is installed at acme. */
export async function repositoryScene(
  db: Database,
  options: Parameters<typeof githubScene>[1] = {},
) {
  const scene = await githubScene(db, options)
  const { test, fake, made } = scene
  const work = createGithubRepositories({ ...test.app, log: silentLogger })
  test.app.githubRepositories = work
  const installation = fake.installApp(made, 'acme')
  return {
    ...scene,
    work,
    installation,
    installationId: installation.id,
    runJobs: async () => {
      for (const job of work.jobs) await job.run(AbortSignal.timeout(30_000))
    },
    [Symbol.asyncDispose]: async () => {
      await work[Symbol.asyncDispose]()
      await scene[Symbol.asyncDispose]()
    },
  }
}

export interface SeenRepository {
  repo_id: number
  full_name: string
  private: boolean
  archived: boolean
  selectable: boolean
  permissions: object | null
}

interface Page<Item> {
  items: Item[]
  next_cursor: string | null
}

/** What somebody sees behind an installation after reading it again. */
export async function seenBy(
  person: TestBrowser,
  installationId: number,
): Promise<SeenRepository[]> {
  const body = { installation_id: installationId }
  await expectJson(await person('POST', `${API}/repos/sync`, { body }))
  const path = `${API}/repos?installation_id=${installationId}`
  return (await expectJson<Page<SeenRepository>>(await person('GET', path))).items
}

/** Hooks of a repository as GitHub has them. */
export function hooksAt(fake: FakeGithub, repoId: number) {
  const { state } = fake.snapshot()
  return [...state.hooks.values()].filter((hook) => hook.repositoryId === repoId)
}
