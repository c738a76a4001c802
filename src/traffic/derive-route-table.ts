import { join } from 'node:path'

import type { Database, Tx } from '../database/database.ts'
import type { InstanceState } from '../database/schema.ts'
import type { Route, RouteTable, RouteTarget } from './route-table.ts'

export interface RouteTableOptions {
  baseDomain: string
  dataDirectory: string
  /** The uid that a project's processes run under; null when all run as one user. */
  uidOf: (accountSlot: number) => number | null
  version: number
}

/**
 * The whole route table from the records: every project that is not deleted, under its own name and its domains. What
 * serves is the live deployment's release, or the newest instance of it that is `running`.
 */
export async function deriveRouteTable(
  db: Database | Tx,
  options: RouteTableOptions,
): Promise<RouteTable> {
  const projects = await readProjects(db)
  const instances = await readInstances(db)
  const domains = await db.selectFrom('domains').select(['project_id', 'hostname']).execute()
  const hostnames = Map.groupBy(domains, (domain) => domain.project_id)
  const routes: Route[] = []
  for (const project of projects) {
    const target = targetOf(project, instances.get(project.id) ?? [], options)
    const own = { hostname: `${project.host_label}.${options.baseDomain}`.toLowerCase() }
    for (const { hostname } of [own, ...(hostnames.get(project.id) ?? [])]) {
      routes.push({ hostname, projectId: project.id, target })
    }
  }
  return { version: options.version, routes }
}

function readProjects(db: Database | Tx) {
  return db
    .selectFrom('projects')
    .leftJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
    .leftJoin('releases', 'releases.id', 'deployments.release_id')
    .select([
      'projects.id',
      'projects.host_label',
      'projects.account_slot',
      'releases.id as release_id',
      'releases.plan',
    ])
    .where('projects.deleted_at', 'is', null)
    .orderBy('projects.id')
    .execute()
}

/** Those of live deployments alone, newest first. */
async function readInstances(db: Database | Tx) {
  const instances = await db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.live_deployment_id', 'instances.deployment_id')
    .select(['instances.id', 'instances.project_id', 'instances.state', 'instances.port'])
    .where('projects.deleted_at', 'is', null)
    .orderBy('instances.created_at', 'desc')
    .orderBy('instances.id', 'desc')
    .execute()
  return Map.groupBy(instances, (instance) => instance.project_id)
}

interface LiveProject {
  account_slot: number
  release_id: string | null
  plan: unknown
}

interface InstanceFacts {
  id: string
  state: InstanceState
  port: number | null
}

function targetOf(
  project: LiveProject,
  instances: readonly InstanceFacts[],
  options: RouteTableOptions,
): RouteTarget {
  if (project.release_id === null) return { kind: 'unavailable', reason: 'never_deployed' }
  const plan = servingFacts(project.plan)
  if (plan.kind === 'static') {
    return {
      kind: 'static',
      releaseId: project.release_id,
      directory: join(options.dataDirectory, 'releases', project.release_id),
      singlePageApp: plan.singlePageApp,
    }
  }
  const running = instances.find(({ state }) => state === 'running')
  if (running !== undefined && running.port !== null) {
    const uid = options.uidOf(project.account_slot)
    return { kind: 'instance', instanceId: running.id, port: running.port, uid }
  }
  const isStarting = instances[0]?.state === 'starting'
  return { kind: 'unavailable', reason: isStarting ? 'starting' : 'crashed' }
}

/** A build plan says more; only this matters here, and a plan of an older version must not stop all traffic. */
function servingFacts(plan: unknown): { kind: 'static' | 'node'; singlePageApp: boolean } {
  const facts = (plan ?? {}) as { kind?: unknown; singlePageApp?: unknown }
  return {
    kind: facts.kind === 'static' ? 'static' : 'node',
    singlePageApp: facts.singlePageApp === true,
  }
}
