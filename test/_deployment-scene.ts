/** The deployment engine at work on one project. */
import { SYSTEM } from '../src/audit/actor.ts'
import { inTransaction } from '../src/database/in-transaction.ts'
import {
  startDeploymentEngine,
  type DeploymentEngine,
} from '../src/deployments/deployment-engine.ts'
import { readDeployment } from '../src/deployments/deployment-records.ts'
import {
  requestConfigurationRestart,
  requestRedeploy,
  requestRollback,
} from '../src/deployments/project-requests.ts'
import { reconcileBranch } from '../src/deployments/reconcile-branch.ts'
import { newId } from '../src/lib/ids.ts'
import type { OpenTestDatabase } from './_databases.ts'
import { createFakeWorld, eventually, insertProject, type FakeWorld } from './_deployments.ts'

const signal = new AbortController().signal

/** A project, an engine that runs it, and what a test asks of both. */
export async function openDeploymentScene(
  open: OpenTestDatabase,
  options: Parameters<typeof createFakeWorld>[1] = {},
) {
  const database = await open()
  const world = createFakeWorld(database.db, options)
  const project = await insertProject(database.db, { next_poll_at: '2999' })
  const engine = startDeploymentEngine(world.deps)
  return {
    world,
    project,
    engine,
    db: database.db,
    ...actionsOf(world, engine, project.id),
    [Symbol.asyncDispose]: async () => {
      await engine[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
      await database[Symbol.asyncDispose]()
    },
  }
}

/** What the tests ask for again and again. */
function actionsOf(world: FakeWorld, engine: DeploymentEngine, projectId: string) {
  const { db } = world.deps
  const organizationId = 'org-default'
  const state = async (number: number) => {
    const row = await db
      .selectFrom('deployments')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('number', '=', number)
      .executeTakeFirst()
    return row
  }
  const reaches = (number: number, wanted: string) =>
    eventually(`deployment #${number} ${wanted}`, async () => {
      const row = await state(number)
      return row?.state === wanted && row
    })
  return {
    state,
    reaches,
    push: async (sha: string) => {
      world.head.sha = sha
      await reconcileBranch(
        world.deps,
        projectId,
        { kind: 'push', before: null, after: sha },
        signal,
      )
      // The debounce is tested with simulated time; here each push counts at once.
      const not_before = new Date().toISOString()
      await db
        .updateTable('deployments')
        .set({ not_before })
        .where('state', '=', 'queued')
        .execute()
      engine.wake()
    },
    request: async (
      kind: 'redeploy' | 'rebuild' | 'rollback' | 'restart',
      deploymentId?: string,
    ) => {
      await inTransaction(db, async (tx) => {
        if (kind === 'restart') await requestConfigurationRestart(world.deps, tx, projectId)
        else if (kind === 'rollback') {
          const request = {
            organizationId,
            projectId,
            deploymentId: deploymentId ?? null,
            by: SYSTEM,
          }
          await requestRollback(world.deps, tx, request)
        } else {
          const request = { organizationId, projectId, rebuild: kind === 'rebuild', by: SYSTEM }
          await requestRedeploy(world.deps, tx, request)
        }
        const not_before = new Date().toISOString()
        await tx
          .updateTable('deployments')
          .set({ not_before })
          .where('state', '=', 'queued')
          .execute()
      })
      engine.wake()
    },
    live: async () => {
      const row = await db
        .selectFrom('projects')
        .innerJoin('deployments', 'deployments.id', 'projects.live_deployment_id')
        .select(['deployments.number', 'deployments.commit_sha'])
        .where('projects.id', '=', projectId)
        .executeTakeFirst()
      return row?.number
    },
    statesOf: async (id: string) => {
      const details = await readDeployment(db, { organizationId, id })
      return details?.transitions.map((entry) => entry.state)
    },
    setVariable: async (name: string, value: string, scope: 'run' | 'build' | 'both' = 'run') => {
      const id = newId()
      const now = new Date().toISOString()
      const value_sealed = world.deps.keyring.seal(value, {
        organizationId,
        table: 'environment_variables',
        column: 'value_sealed',
        rowId: id,
      })
      await db
        .deleteFrom('environment_variables')
        .where('project_id', '=', projectId)
        .where('name', '=', name)
        .execute()
      await db
        .insertInto('environment_variables')
        .values({
          id,
          organization_id: organizationId,
          project_id: projectId,
          name,
          value_sealed,
          scope,
          created_at: now,
          updated_at: now,
        })
        .execute()
    },
  }
}
