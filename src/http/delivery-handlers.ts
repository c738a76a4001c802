import type { RouteOutput } from '../contract/route.ts'
import type { Routes } from '../contract/routes.ts'
import { OperationError } from '../lib/errors.ts'
import {
  listDeliveries,
  readDelivery,
  type DeliveryWithOutcomes,
} from '../webhooks/list-deliveries.ts'
import { PROJECT_OUTCOMES } from '../webhooks/look-at-projects.ts'
import { IGNORE_REASONS } from '../webhooks/plan-delivery.ts'
import { organizationOf, type Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { pageOfRows } from './page-of-rows.ts'

type DeliveryHandlers = Pick<Handlers, 'deliveries.list' | 'deliveries.read' | 'deliveries.replay'>
type Details = RouteOutput<Routes['deliveries.read']>
type Step = Details['timeline'][number]

export function deliveryHandlers(app: Pick<HttpApp, 'db' | 'webhooks'>): DeliveryHandlers {
  return {
    'deliveries.list': async ({ query }, request) => {
      const { limit, cursor, state, project_id: projectId } = query
      const page = { after: cursor ?? null, limit: limit + 1 }
      const filter = { state, projectId }
      const found = await listDeliveries(app.db, organizationOf(request), filter, page)
      const { rows, next_cursor } = pageOfRows(found.map(viewOf), limit)
      return { items: rows, next_cursor }
    },
    'deliveries.read': async ({ params }, request) =>
      detailsOf(params.id, await readDelivery(app.db, organizationOf(request), params.id)),
    'deliveries.replay': async ({ params }, request) => {
      const organizationId = organizationOf(request)
      const by = request.actor
      return detailsOf(params.id, await app.webhooks.replay({ organizationId, id: params.id, by }))
    },
  }
}

function detailsOf(id: string, found: DeliveryWithOutcomes | undefined): Details {
  if (found === undefined) {
    throw new OperationError('delivery.not_found', `Cannot find delivery "${id}"`)
  }
  return { ...viewOf(found), timeline: timelineOf(found) }
}

function viewOf({ delivery, outcomes }: DeliveryWithOutcomes) {
  return {
    id: delivery.id,
    provider: delivery.provider,
    hook_id: delivery.hook_id,
    delivery_id: delivery.delivery_id,
    event: delivery.event_type,
    action: delivery.action,
    state: delivery.state,
    reason: delivery.reason,
    error_message: delivery.error_message,
    attempts: delivery.attempts,
    next_attempt_at: delivery.next_attempt_at,
    installation_id: delivery.installation_id,
    repo_id: delivery.repo_id,
    ref: delivery.ref,
    before: delivery.before_commit,
    after: delivery.head_commit,
    guid_conflict: delivery.facts.guid_conflict,
    status_code: delivery.status_code,
    body_hash: delivery.body_hash,
    body_bytes: delivery.body_bytes,
    received_at: delivery.created_at,
    processed_at: delivery.processed_at,
    outcomes: outcomes.map(({ project_id, outcome, reason, head, deployment_id, created_at }) => ({
      project_id,
      outcome,
      reason,
      head,
      deployment_id,
      created_at,
    })),
  }
}

/** From the host to the deployment, as far as it came. */
function timelineOf({ delivery, outcomes }: DeliveryWithOutcomes): Step[] {
  const { facts, reason, created_at, processed_at } = delivery
  const nothing = { project_id: null, deployment_id: null }
  const steps: Step[] = [
    { ...nothing, step: 'received', at: created_at, message: 'Received and stored' },
    {
      ...nothing,
      step: 'verified',
      at: created_at,
      message: `Signed with the ${facts.signed_with} secret of the hook`,
    },
  ]
  for (const { project_id, outcome, reason: why, created_at: at, deployment_id } of outcomes) {
    const one = { at, project_id, deployment_id: null }
    steps.push({ ...one, step: 'matched', message: `A project deploys ${delivery.ref ?? 'this'}` })
    const said = why === null ? meaningOf(PROJECT_OUTCOMES, outcome) : `${outcome}: ${why}`
    steps.push({ ...one, step: outcome === 'failed' ? 'failed' : 'decided', message: said })
    if (deployment_id === null) continue
    steps.push({ ...one, step: 'deployment', deployment_id, message: 'See the deployment' })
  }
  if (delivery.state === 'ignored') {
    const message = meaningOf(IGNORE_REASONS, reason ?? 'malformed')
    steps.push({ ...nothing, step: 'ignored', at: processed_at ?? created_at, message })
  }
  if (delivery.error_message !== null) {
    const at = processed_at ?? delivery.next_attempt_at ?? created_at
    steps.push({ ...nothing, step: 'failed', at, message: delivery.error_message })
  }
  return steps
}

function meaningOf(meanings: Readonly<Record<string, string>>, word: string): string {
  return Object.hasOwn(meanings, word) ? (meanings[word] ?? word) : word
}
