import { inTransaction } from '../database/in-transaction.ts'
import {
  cancelProjectDeployments,
  requestRedeploy,
  requestRollback,
} from '../deployments/project-requests.ts'
import type { ReconcileOutcome } from '../deployments/reconcile-branch.ts'
import { unlinkProject } from '../integrations/repository-hooks.ts'
import { messageOf, OperationError } from '../lib/errors.ts'
import { createProject } from '../projects/create-project.ts'
import { deleteProject } from '../projects/delete-project.ts'
import { listProjects, readProject, type Project } from '../projects/project-records.ts'
import { updateProject, type ProjectChange } from '../projects/update-project.ts'
import { membershipOf, organizationOf, type Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { keepFirstHook, newProjectOf, withoutUndefined } from './new-project.ts'
import { viewProjects, type ProjectView } from './project-view.ts'
import { publish } from './publish.ts'

type ProjectHandlers = Pick<
  Handlers,
  | 'projects.list'
  | 'projects.create'
  | 'projects.read'
  | 'projects.update'
  | 'projects.delete'
  | 'projects.redeploy'
  | 'projects.rollback'
  | 'projects.reconcile'
>

/** Creation answers with the first deployment when the Git host answers within this. */
const FIRST_LOOK_MS = 20_000

export function projectHandlers(app: HttpApp): ProjectHandlers {
  return { ...recordHandlers(app), ...requestHandlers(app) }
}

function recordHandlers(app: HttpApp) {
  return {
    'projects.list': async ({ query }, request) => {
      const { limit, name } = query
      const page = {
        after: query.cursor ?? null,
        limit: limit + 1,
        name,
        reach: membershipOf(request).reach,
      }
      const rows = await listProjects(app.db, organizationOf(request), page)
      const items = await viewProjects(app, rows.slice(0, limit))
      return { items, next_cursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
    },
    'projects.create': async ({ body }, request) => {
      const { organizationId, reach } = membershipOf(request)
      const { input, hook } = await newProjectOf(app, body, request)
      const project = await createProject(app, organizationId, input, request.actor, reach)
      // The project stays when its branch cannot be read: what is wrong is in its record, and can be corrected.
      await Promise.all([
        lookAtBranch(app, project.id, request.signal),
        keepFirstHook(app, hook.id, request.signal),
      ])
      return await view(app, await readProject(app.db, organizationId, project.id))
    },
    'projects.read': async ({ params }, request) =>
      await view(app, await readProject(app.db, organizationOf(request), params.id)),
    'projects.update': async ({ params, body }, request) => {
      const change = withoutUndefined(body) as ProjectChange
      const project = await updateProject(
        app,
        organizationOf(request),
        params.id,
        change,
        request.actor,
      )
      app.deployments.wake()
      return await view(app, project)
    },
    'projects.delete': async ({ params }, request) => {
      const deps = {
        db: app.db,
        clock: app.clock,
        newId: app.newId,
        cancelDeployments: cancelProjectDeployments.bind(null, app),
        unlink: unlinkProject,
      }
      await deleteProject(deps, organizationOf(request), params.id, request.actor)
      app.deployments.wake()
      await publish(app)
    },
  } satisfies Partial<ProjectHandlers>
}

function requestHandlers(app: HttpApp) {
  return {
    'projects.redeploy': async ({ params, body }, request) => {
      const organizationId = organizationOf(request)
      const requested = await inTransaction(app.db, async (tx) => {
        await readProject(tx, organizationId, params.id)
        const { rebuild } = body
        const by = request.actor
        const projectId = params.id
        return await requestRedeploy(app, tx, { organizationId, projectId, rebuild, by })
      })
      app.deployments.wake()
      return { deployment_id: requested.deploymentId, number: requested.number }
    },
    'projects.rollback': async ({ params, body }, request) => {
      const organizationId = organizationOf(request)
      const deploymentId = await rollbackTarget(app, organizationId, params.id, body)
      const requested = await inTransaction(app.db, (tx) =>
        requestRollback(app, tx, {
          organizationId,
          projectId: params.id,
          deploymentId,
          by: request.actor,
        }),
      )
      app.deployments.wake()
      return { deployment_id: requested.deploymentId, number: requested.number }
    },
    'projects.reconcile': async ({ params }, request) => {
      const project = await readProject(app.db, organizationOf(request), params.id)
      const outcome = await app.deployments.reconcile(project.id, request.signal)
      app.deployments.wake()
      return viewOutcome(outcome)
    },
  } satisfies Partial<ProjectHandlers>
}

async function rollbackTarget(
  app: HttpApp,
  organizationId: string,
  projectId: string,
  body: { deployment_id?: string | null | undefined; number?: number | null | undefined },
): Promise<string | null> {
  await readProject(app.db, organizationId, projectId)
  const number = body.number ?? null
  if (body.deployment_id !== undefined && body.deployment_id !== null) {
    if (number === null) return body.deployment_id
    const details = { number: ['give this or deployment_id'] }
    throw new OperationError('http.invalid', 'Cannot roll back to two deployments', { details })
  }
  if (number === null) return null
  const row = await app.db
    .selectFrom('deployments')
    .select('id')
    .where('project_id', '=', projectId)
    .where('number', '=', number)
    .executeTakeFirst()
  if (row !== undefined) return row.id
  throw new OperationError('deployment.not_found', `Cannot find deployment #${number}`)
}

async function lookAtBranch(app: HttpApp, projectId: string, signal: AbortSignal): Promise<void> {
  try {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(FIRST_LOOK_MS)])
    await app.deployments.reconcile(projectId, deadline)
  } catch (error) {
    app.log.warn('The first look at a branch failed', { projectId, reason: messageOf(error) })
  }
  app.deployments.wake()
}

function viewOutcome(outcome: ReconcileOutcome) {
  if (outcome.kind === 'decided') {
    const { decision, reason, head, deploymentId } = outcome
    return { outcome: decision, reason, head, deployment_id: deploymentId }
  }
  const reason = outcome.kind === 'source_error' ? outcome.message : null
  const head = 'head' in outcome ? outcome.head : null
  return { outcome: outcome.kind, reason, head, deployment_id: null }
}

async function view(app: HttpApp, project: Project): Promise<ProjectView> {
  const [shown] = await viewProjects(app, [project])
  if (shown === undefined) throw new Error('A project has no view')
  return shown
}
