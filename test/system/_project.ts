import type { GitRepository } from '../_git-repository.ts'
import { type Platform } from './_platform.ts'
import { waitFor } from './_wait-for.ts'

/** Of a deployment, what the tests look at; the rest of `contract/deployments.ts` is for others. */
export interface Deployment {
  id: string
  number: number
  state: string
  cause: string
  attempt: number
  commit: { sha: string }
  failure: { code: string; message: string } | null
  superseded_by_id: string | null
}

export interface DeploymentDetails extends Deployment {
  ended: boolean
  phases: { state: string; entered_at: string }[]
  decision: { decision: string; reason: string; trigger: string } | null
  release: { id: string } | null
}

interface Project {
  id: string
  name: string
  url: string
  considered_head: string | null
  live_deployment: Deployment | null
}

/** A project on a platform with its repository: what a person does with it, in one word each. */
export interface TestProject {
  id: string
  name: string
  hostname: string
  repository: GitRepository
  read(): Promise<Project>
  /** Newest first. */
  deployments(): Promise<Deployment[]>
  details(deploymentId: string): Promise<DeploymentDetails>
  /** The log of a deployment as text. */
  log(deploymentId: string): Promise<string>
  /** Has the branch looked at now, as a push does; the timer would do it later. */
  reconcile(): Promise<void>
  /** The deployment of this commit that is live. */
  waitForLive(sha: string, timeoutMs?: number): Promise<Deployment>
  /** The newest deployment of this commit, when it has ended. */
  waitForEnd(sha: string, timeoutMs?: number): Promise<DeploymentDetails>
  waitForState(sha: string, state: string, timeoutMs?: number): Promise<Deployment>
  /** No deployment is under way or waiting. */
  waitUntilIdle(timeoutMs?: number): Promise<void>
  /** The body of a path of the app. */
  text(path: string): Promise<string>
}

const ENDS = ['live', 'failed', 'superseded', 'cancelled', 'interrupted']

export async function createProject(
  platform: Platform,
  options: { name: string; repository: GitRepository; settings?: Record<string, unknown> },
): Promise<TestProject> {
  const project = await platform.api<Project>('POST', '/api/projects', {
    name: options.name,
    repo_url: options.repository.url,
    branch: 'main',
    ...options.settings,
  })
  return projectHandle(platform, project, options.repository)
}

export function projectHandle(
  platform: Platform,
  { id, name, url }: Pick<Project, 'id' | 'name' | 'url'>,
  repository: GitRepository,
): TestProject {
  const read = () => platform.api<Project>('GET', `/api/projects/${id}`)
  const deployments = async () =>
    (
      await platform.api<{ items: Deployment[] }>(
        'GET',
        `/api/projects/${id}/deployments?limit=200`,
      )
    ).items
  const details = (deploymentId: string) =>
    platform.api<DeploymentDetails>('GET', `/api/deployments/${deploymentId}`)
  const hostname = new URL(url).hostname

  const find = async (sha: string, timeoutMs: number, isIt: (found: Deployment) => boolean) => {
    let result: Deployment | undefined
    let last: Deployment | undefined
    await waitFor(`the deployment of ${sha}`, timeoutMs, async () => {
      last = (await deployments()).find(({ commit }) => commit.sha === sha)
      if (last !== undefined && isIt(last)) result = last
      return result !== undefined
    }).catch((error: unknown) => {
      throw new Error(`the deployment of ${sha} is ${JSON.stringify(last)}`, { cause: error })
    })
    if (result === undefined) throw new Error('not reached')
    return result
  }
  return {
    id,
    name,
    hostname,
    repository,
    read,
    deployments,
    details,
    async log(deploymentId) {
      const answer = await platform.request(
        'GET',
        `/api/deployments/${deploymentId}/logs?follow=false`,
        undefined,
        { accept: 'text/plain' },
      )
      return answer.text
    },
    async reconcile() {
      await waitFor('the turn to look at the branch', 20_000, async () => {
        const found = await platform.api<{ outcome: string }>(
          'POST',
          `/api/projects/${id}/reconcile`,
        )
        return found.outcome !== 'busy'
      })
    },
    async waitForLive(sha, timeoutMs = 30_000) {
      return await find(sha, timeoutMs, ({ state, failure }) => {
        if (state !== 'live' && ENDS.includes(state) && state !== 'interrupted') {
          throw new Error(`it ended ${state}: ${failure?.message ?? 'without a reason'}`)
        }
        return state === 'live'
      })
    },
    async waitForEnd(sha, timeoutMs = 40_000) {
      return await details((await find(sha, timeoutMs, ({ state }) => ENDS.includes(state))).id)
    },
    waitForState: (sha, state, timeoutMs = 20_000) =>
      find(sha, timeoutMs, (found) => found.state === state),
    async waitUntilIdle(timeoutMs = 60_000) {
      await waitFor('no deployment to be under way', timeoutMs, async () =>
        (await deployments()).every(({ state }) => ENDS.includes(state)),
      )
    },
    text: async (path) => (await platform.get(hostname, path)).text,
  }
}
