import { parseAnchor } from '../audit/audit-chain.ts'
import {
  listAuditEvents,
  type AuditFilter,
  type AuditRow,
  type AuditScope,
} from '../audit/list-audit-events.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { verifyAudit } from '../audit/verify-audit.ts'
import type { RouteInput } from '../contract/route.ts'
import type { Routes } from '../contract/routes.ts'
import { toIsoTime } from '../lib/clock.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import { organizationOf, type Handlers, type RequestFacts, type StreamEvent } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { pageOfRows } from './page-of-rows.ts'

type AuditHandlers = Pick<Handlers, 'audit.list' | 'audit.export' | 'audit.verify'>
type AuditDeps = Pick<HttpApp, 'db' | 'clock' | 'newId' | 'keyring'>

/** Rows of an export that are in memory at a time. */
const EXPORT_PAGE = 500

export function auditHandlers(app: AuditDeps): AuditHandlers {
  return {
    'audit.list': async ({ query }, request) => {
      const { limit, cursor } = query
      const scope = scopeOf(request)
      const page = { order: 'newest', after: cursor ?? null, limit: limit + 1 } as const
      const rows = await listAuditEvents(app.db, scope, filterOf(query), page)
      const { rows: shown, next_cursor } = pageOfRows(rows, limit)
      return { items: shown.map((row) => viewOf(row, scope)), next_cursor }
    },
    'audit.export': async ({ query }, request) => {
      const scope = scopeOf(request)
      const filter = filterOf(query)
      await recordAuditEvent(app, app.db, {
        organizationId: scope.organizationId,
        by: request.actor,
        action: 'audit.exported',
        details: { ...filter },
      })
      return { events: exported(app, scope, filter, request.signal) }
    },
    'audit.verify': async ({ query }, request) => {
      const anchor = query.anchor === undefined ? null : parseAnchor(query.anchor)
      const secret = await readInstanceSecret(app, 'audit')
      return { events: verified({ db: app.db, secret }, anchor, request.signal) }
    },
  }
}

/** The operator is at the machine itself and sees what concerns it, besides the organization. */
function scopeOf(request: RequestFacts): AuditScope {
  return {
    organizationId: organizationOf(request),
    withInstance: request.principal?.kind === 'operator',
  }
}

function filterOf(query: RouteInput<Routes['audit.export']>['query']): AuditFilter {
  const isoOf = (time: string | undefined) =>
    time === undefined ? undefined : toIsoTime(Date.parse(time))
  return {
    action: query.action,
    actorId: query.actor_id,
    targetId: query.target_id,
    outcome: query.outcome,
    since: isoOf(query.since),
    until: isoOf(query.until),
  }
}

async function* exported(
  { db }: AuditDeps,
  scope: AuditScope,
  filter: AuditFilter,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  let after: string | null = null
  for (;;) {
    signal.throwIfAborted()
    const page = { order: 'oldest', after, limit: EXPORT_PAGE } as const
    const rows: AuditRow[] = await listAuditEvents(db, scope, filter, page)
    for (const row of rows) yield { data: viewOf(row, scope) }
    if (rows.length < EXPORT_PAGE) return
    after = rows.at(-1)?.id ?? null
  }
}

async function* verified(
  deps: Parameters<typeof verifyAudit>[0],
  anchor: Parameters<typeof verifyAudit>[1]['anchor'],
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  for await (const step of verifyAudit(deps, { anchor }, signal)) {
    if (step.kind === 'progress') {
      const { verified: done, total } = step
      yield { event: 'progress', data: { verified: done, total }, text: `${done} of ${total}\n` }
      continue
    }
    const { verdict } = step
    const data = {
      events: verdict.events,
      unsealed: verdict.unsealed,
      anchor: verdict.anchor,
      problem_count: verdict.problemCount,
      problems: verdict.problems.map(({ kind, message, sequence, eventId }) => ({
        kind,
        message,
        sequence,
        event_id: eventId,
      })),
    }
    const text = verdict.problems.map(({ message }) => `${message}\n`).join('')
    yield { event: 'verdict', data, text: text === '' ? 'ok\n' : text }
  }
}

/** The place in the chain counts what all organizations do: it is the operator's to see. */
function viewOf(row: AuditRow, scope: AuditScope) {
  const target =
    row.target_kind === null || row.target_id === null
      ? null
      : { kind: row.target_kind, id: row.target_id, name: row.target_name }
  return {
    id: row.id,
    occurred_at: row.occurred_at,
    action: row.action,
    outcome: row.outcome,
    organization_id: row.organization_id,
    actor: { kind: row.actor_kind, id: row.actor_id, name: row.actor_name },
    address: row.address,
    request_id: row.request_id,
    target,
    details: row.details,
    ...(scope.withInstance ? { sequence: row.sequence, mac: row.mac } : {}),
  }
}
