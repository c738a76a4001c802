import type { Database } from '../database/database.ts'
import type { DeploymentLogRow } from '../deployments/deployment-events.ts'
import { readDeploymentLog } from '../deployments/deployment-records.ts'
import { isEnded } from '../deployments/deployment-state.ts'
import { followInstanceLogs } from '../deployments/follow-instance-logs.ts'
import { openVariables } from '../projects/variable-records.ts'
import { createRedactor } from '../secrets/redactor.ts'
import type { StreamEvent } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { createWakeUps } from './wake-ups.ts'

/** Rows read at once. */
const BATCH = 500
/** Another process may write what we follow: its rows are found this often. */
const POLL_MS = 1000

interface DeploymentLogOptions {
  /** Go on behind this sequence number. */
  after: number | null
  /** Else begin with the last rows that have this many lines; null: with the first row. */
  tail: number | null
  follow: boolean
}

type StreamDeps = Pick<HttpApp, 'db' | 'clock' | 'events'>

/** The log of a deployment as events; an `end` event when the deployment ended and everything was sent. */
export async function* streamDeploymentLog(
  deps: StreamDeps,
  deployment: { id: string; project_id: string },
  options: DeploymentLogOptions,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const wakeUps = createWakeUps(deps.clock)
  const unsubscribe = [
    deps.events.onLog(deployment.id, () => wakeUps.wake()),
    deps.events.onChange(deployment.project_id, () => wakeUps.wake()),
  ]
  try {
    let after = options.after ?? (await firstSequence(deps.db, deployment.id, options.tail))
    while (!signal.aborted) {
      // Read before the rows: what was logged before the end is then among them.
      const state = await readState(deps.db, deployment.id)
      const rows = await readDeploymentLog(deps.db, deployment.id, after, BATCH)
      yield* rows.map(eventOf)
      after = rows.at(-1)?.sequence ?? after
      if (rows.length === BATCH) continue
      if (state === undefined || isEnded(state)) {
        yield { event: 'end', data: { state: state ?? null } }
        return
      }
      if (!options.follow) return
      await wakeUps.sleep(POLL_MS, signal)
    }
  } finally {
    for (const end of unsubscribe) end()
  }
}

/** What the instances of a project print, as events. Values of its variables are removed from it. */
export async function* streamInstanceLogs(
  deps: Pick<HttpApp, 'db' | 'clock' | 'logPlaces' | 'keyring' | 'redactor'>,
  projectId: string,
  options: { after: string | null; tail: number; follow: boolean },
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const own = createRedactor()
  for (const { value } of await openVariables(deps.keyring, deps.db, projectId)) own.add(value)
  const redact = (text: string) => deps.redactor.redact(own.redact(text))
  for await (const line of followInstanceLogs({ ...deps, redact }, projectId, options, signal)) {
    const data = { instance_id: line.instanceId, text: line.text }
    yield { id: line.position, data, text: `${line.text}\n` }
  }
}

function eventOf(row: DeploymentLogRow): StreamEvent {
  const data = { stream: row.stream, text: row.text, logged_at: row.logged_at }
  return { id: String(row.sequence), event: 'log', data, text: row.text }
}

async function readState(db: Database, id: string) {
  const row = await db
    .selectFrom('deployments')
    .select('state')
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.state
}

/** The sequence number behind which the last `tail` lines are, to within a row. */
async function firstSequence(db: Database, id: string, tail: number | null): Promise<number> {
  if (tail === null) return 0
  const rows = await db
    .selectFrom('deployment_logs')
    .select(['sequence', 'text'])
    .where('deployment_id', '=', id)
    .orderBy('sequence', 'desc')
    .limit(Math.max(tail, 1))
    .execute()
  let lines = 0
  for (const row of rows) {
    if (lines >= tail) return row.sequence
    lines += row.text.split('\n').length - 1 || 1
  }
  return (rows.at(-1)?.sequence ?? 1) - 1
}
