import { ApiError, json, noContent, notFound } from '../answer.ts'
import { authorOf, fullName, now, toTime } from '../github.ts'
import type { Github } from '../github.ts'
import { toAccountJson, toNodeId } from '../json/account-json.ts'
import { page } from '../pagination.ts'
import { readId, readObject, readText, toRoutes } from '../router.ts'
import type { Call } from '../router.ts'
import type { Deployment, DeploymentStatus, Repository, Schemas } from '../state.ts'
import { resolveCommit } from './repository-routes.ts'
import { requireRepository } from './require.ts'
import { findCreator } from './status-routes.ts'

const READ = { permission: 'deployments', level: 'read' } as const
const WRITE = { permission: 'deployments', level: 'write' } as const
const STATES = [
  'error',
  'failure',
  'inactive',
  'pending',
  'success',
  'queued',
  'in_progress',
] as const

export const deploymentRoutes = toRoutes({
  'POST /repos/:owner/:repo/deployments': createDeployment,
  'GET /repos/:owner/:repo/deployments': async (github, call) => {
    const repository = await requireRepository(github, call, READ)
    const { query } = call
    const isWanted = (name: string, value: string) => (query.get(name) ?? value) === value
    const all = [...github.state.deployments.values()].filter((deployment) => {
      const { repositoryId, sha, ref, task, environment } = deployment
      if (repositoryId !== repository.id) return false
      return (
        isWanted('sha', sha) &&
        isWanted('ref', ref) &&
        isWanted('task', task) &&
        isWanted('environment', environment)
      )
    })
    return page(github, call, all.toReversed(), (items) => {
      return items.map((item) => toDeploymentJson(github, repository, item))
    })
  },
  'GET /repos/:owner/:repo/deployments/:deployment_id': async (github, call) => {
    const repository = await requireRepository(github, call, READ)
    const deployment = findDeployment(github, call, repository)
    return json(toDeploymentJson(github, repository, deployment))
  },
  'DELETE /repos/:owner/:repo/deployments/:deployment_id': async (github, call) => {
    const repository = await requireRepository(github, call, WRITE)
    const { id, statuses } = findDeployment(github, call, repository)
    const isActive = statuses.at(-1)?.state === 'success'
    if (isActive) throw new ApiError(422, 'We cannot delete an active deployment')
    github.state.deployments.delete(id)
    return noContent()
  },
  'POST /repos/:owner/:repo/deployments/:deployment_id/statuses': createStatus,
  'GET /repos/:owner/:repo/deployments/:deployment_id/statuses': async (github, call) => {
    const repository = await requireRepository(github, call, READ)
    const deployment = findDeployment(github, call, repository)
    return page(github, call, deployment.statuses.toReversed(), (items) => {
      return items.map((item) => toStatusJson(github, repository, deployment, item))
    })
  },
})

function findDeployment(github: Github, call: Call, repository: Repository): Deployment {
  const deployment = github.state.deployments.get(readId(call, 'deployment_id'))
  if (deployment?.repositoryId !== repository.id) throw notFound()
  return deployment
}

/** 409 when a status that the deployment asks for is missing, as it asks for all that exist by default. */
async function createDeployment(github: Github, call: Call) {
  const repository = await requireRepository(github, call, WRITE)
  const { body } = call
  const ref = readText(body, 'ref')
  if (ref === null) throw new ApiError(422, 'Validation Failed')
  const { sha } = await resolveCommit(github, call, repository, ref)
  checkContexts(github, repository, sha, body['required_contexts'])
  const environment = readText(body, 'environment') ?? 'production'
  const deployment: Deployment = {
    id: github.nextId(),
    repositoryId: repository.id,
    sha,
    ref,
    task: readText(body, 'task') ?? 'deploy',
    environment,
    description: readText(body, 'description'),
    payload: { ...readObject(body['payload']) },
    transient: body['transient_environment'] === true,
    production:
      typeof body['production_environment'] === 'boolean'
        ? body['production_environment']
        : environment === 'production',
    creatorId: findCreator(call.actor),
    createdAt: now(github),
    statuses: [],
  }
  github.state.deployments.set(deployment.id, deployment)
  return json(toDeploymentJson(github, repository, deployment), 201)
}

function checkContexts(
  github: Github,
  repository: Repository,
  sha: string,
  required: unknown,
): void {
  const latest = new Map<string, string>()
  for (const status of github.state.statuses) {
    if (status.repositoryId === repository.id && status.sha === sha) {
      latest.set(status.context, status.state)
    }
  }
  const wanted: unknown[] = Array.isArray(required) ? required : [...latest.keys()]
  if (wanted.every((context) => latest.get(String(context)) === 'success')) return
  throw new ApiError(409, `Conflict: Commit status checks failed for ${sha}.`)
}

async function createStatus(github: Github, call: Call) {
  const repository = await requireRepository(github, call, WRITE)
  const deployment = findDeployment(github, call, repository)
  const { body } = call
  const state = STATES.find((state) => state === body['state'])
  if (state === undefined) throw new ApiError(422, 'Validation Failed')
  const status: DeploymentStatus = {
    id: github.nextId(),
    state,
    description: readText(body, 'description') ?? '',
    logUrl: readText(body, 'log_url') ?? readText(body, 'target_url') ?? '',
    environmentUrl: readText(body, 'environment_url') ?? '',
    createdAt: now(github),
  }
  deployment.statuses.push(status)
  const isSuccess = state === 'success' && body['auto_inactive'] !== false
  if (isSuccess) retireOthers(github, deployment)
  return json(toStatusJson(github, repository, deployment, status), 201)
}

/** A success makes the earlier ones of the environment inactive, but not those of production. */
function retireOthers(github: Github, deployment: Deployment): void {
  for (const other of github.state.deployments.values()) {
    if (other === deployment || other.production || other.transient) continue
    if (other.repositoryId !== deployment.repositoryId) continue
    if (other.environment !== deployment.environment) continue
    const last = other.statuses.at(-1)
    if (last?.state !== 'success') continue
    other.statuses.push({ ...last, id: github.nextId(), state: 'inactive', createdAt: now(github) })
  }
}

function toDeploymentJson(
  github: Github,
  repository: Repository,
  deployment: Deployment,
): Schemas['deployment'] {
  const repositoryUrl = `${github.apiUrl}/repos/${fullName(github, repository)}`
  const url = `${repositoryUrl}/deployments/${deployment.id}`
  return {
    url,
    id: deployment.id,
    node_id: toNodeId('DE', deployment.id),
    sha: deployment.sha,
    ref: deployment.ref,
    task: deployment.task,
    payload: deployment.payload,
    original_environment: deployment.environment,
    environment: deployment.environment,
    description: deployment.description,
    creator: toAccountJson(github, authorOf(github, deployment.creatorId)),
    created_at: toTime(deployment.createdAt),
    updated_at: toTime(deployment.statuses.at(-1)?.createdAt ?? deployment.createdAt),
    statuses_url: `${url}/statuses`,
    repository_url: repositoryUrl,
    transient_environment: deployment.transient,
    production_environment: deployment.production,
  }
}

function toStatusJson(
  github: Github,
  repository: Repository,
  deployment: Deployment,
  status: DeploymentStatus,
): Schemas['deployment-status'] {
  const repositoryUrl = `${github.apiUrl}/repos/${fullName(github, repository)}`
  const url = `${repositoryUrl}/deployments/${deployment.id}`
  return {
    url: `${url}/statuses/${status.id}`,
    id: status.id,
    node_id: toNodeId('DES', status.id),
    state: status.state,
    creator: toAccountJson(github, authorOf(github, deployment.creatorId)),
    description: status.description,
    environment: deployment.environment,
    target_url: status.logUrl,
    log_url: status.logUrl,
    environment_url: status.environmentUrl,
    created_at: toTime(status.createdAt),
    updated_at: toTime(status.createdAt),
    deployment_url: url,
    repository_url: repositoryUrl,
  }
}
