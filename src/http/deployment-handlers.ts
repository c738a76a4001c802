import { inTransaction } from '../database/in-transaction.ts'
import {
  listDeployments,
  readDeployment,
  type DeploymentDetails,
} from '../deployments/deployment-records.ts'
import { requestCancel } from '../deployments/project-requests.ts'
import { OperationError } from '../lib/errors.ts'
import { readProject } from '../projects/project-records.ts'
import { detailsView, summaryView } from './deployment-view.ts'
import { organizationOf, type Handlers, type RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { streamDeploymentLog, streamInstanceLogs } from './log-streams.ts'

type DeploymentHandlers = Pick<
  Handlers,
  | 'deployments.list'
  | 'deployments.read'
  | 'deployments.logs'
  | 'deployments.cancel'
  | 'projects.logs'
>

const DEFAULT_TAIL = 200

export function deploymentHandlers(app: HttpApp): DeploymentHandlers {
  return {
    'deployments.list': async ({ params, query }, request) => {
      const organizationId = organizationOf(request)
      const project = await readProject(app.db, organizationId, params.id)
      const cursor = parseCursor(query.cursor)
      const page = { organizationId, projectId: project.id, cursor, limit: query.limit }
      const { items, nextCursor } = await listDeployments(app.db, page)
      const next_cursor = nextCursor === null ? null : String(nextCursor)
      return { items: items.map(summaryView), next_cursor }
    },
    'deployments.read': async ({ params }, request) =>
      detailsView(await readOwn(app, request, params.id)),
    'deployments.logs': async ({ params, query }, request) => {
      const { deployment } = await readOwn(app, request, params.id)
      const options = {
        after: parseSequence(request.lastEventId),
        tail: query.tail ?? null,
        follow: query.follow === undefined ? !request.prefersText : query.follow === 'true',
      }
      return { events: streamDeploymentLog(app, deployment, options, request.signal) }
    },
    'deployments.cancel': async ({ params }, request) => {
      const organizationId = organizationOf(request)
      await readOwn(app, request, params.id)
      const outcome = await inTransaction(app.db, (tx) =>
        requestCancel(app, tx, { organizationId, deploymentId: params.id, by: request.actor }),
      )
      if (outcome.kind === 'too_late') {
        throw new OperationError(
          'deployment.not_cancellable',
          `Cannot cancel deployment "${params.id}": it is ${outcome.state}`,
        )
      }
      app.deployments.wake()
    },
    'projects.logs': async ({ params, query }, request) => {
      const project = await readProject(app.db, organizationOf(request), params.id)
      const options = {
        after: request.lastEventId,
        tail: query.tail ?? DEFAULT_TAIL,
        follow: query.follow === undefined ? !request.prefersText : query.follow === 'true',
      }
      return { events: streamInstanceLogs(app, project.id, options, request.signal) }
    },
  }
}

/** Deployments of a project that is deleted are gone with it. */
async function readOwn(
  app: HttpApp,
  request: RequestFacts,
  id: string,
): Promise<DeploymentDetails> {
  const organizationId = organizationOf(request)
  const details = await readDeployment(app.db, { organizationId, id })
  if (details === undefined) {
    throw new OperationError('deployment.not_found', `Cannot find deployment "${id}"`)
  }
  await readProject(app.db, organizationId, details.deployment.project_id).catch(() => {
    throw new OperationError('deployment.not_found', `Cannot find deployment "${id}"`)
  })
  return details
}

function parseCursor(cursor: string | undefined): number | null {
  if (cursor === undefined) return null
  if (/^\d{1,9}$/.test(cursor)) return Number(cursor)
  const details = { cursor: ['it is not a cursor of this list'] }
  throw new OperationError('http.invalid', 'Cannot read the page after this cursor', { details })
}

function parseSequence(lastEventId: string | null): number | null {
  return lastEventId !== null && /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : null
}
