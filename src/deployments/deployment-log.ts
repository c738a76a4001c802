import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { DeploymentEvents, DeploymentLogRow } from './deployment-events.ts'
import type { BuildLog } from './engine-deps.ts'
import type { DeploymentRow } from './enter-state.ts'

/** Lines wait at most this long for others, to be stored together. */
const BATCH_MS = 100
const MAX_ROW_CHARS = 16_384
/** A build that prints without end is cut here; our own lines are always kept. */
const MAX_OUTPUT_CHARS = 4_194_304

export interface DeploymentLog extends BuildLog, AsyncDisposable {
  /** Resolves when everything written so far is stored. Before an end state: readers stop at that. */
  flush(): Promise<void>
}

interface LogDeps {
  clock: Clock
  db: Database
  log: Logger
  redactor: { redact(text: string): string }
  events: Pick<DeploymentEvents, 'emitLog'>
}

type Entry = Pick<DeploymentLogRow, 'stream' | 'text'>

/** The log of a deployment: what its commands print and what the platform says about it, redacted, in batches. */
export async function openDeploymentLog(
  deps: LogDeps,
  deployment: Pick<DeploymentRow, 'id' | 'organization_id'>,
): Promise<DeploymentLog> {
  let sequence = await readLastSequence(deps.db, deployment.id)
  let waiting: Entry[] = []
  let outputChars = 0
  let timer: NodeJS.Timeout | undefined
  let storing = Promise.resolve()

  const store = async () => {
    const entries = waiting
    waiting = []
    if (entries.length === 0) return
    const logged_at = toIsoTime(deps.clock.now())
    // Redacted before it is split: a value that two rows share is not found in either.
    const clean = entries.map(({ stream, text }) => ({ stream, text: deps.redactor.redact(text) }))
    const rows = clean.flatMap(splitLong).map((entry) => ({
      sequence: ++sequence,
      ...entry,
      logged_at,
    }))
    await insertRows(deps.db, deployment, rows)
    deps.events.emitLog(deployment.id, rows)
  }
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    storing = storing.then(store).catch((error: unknown) => {
      // A log that cannot be stored must not end the deployment that it describes.
      deps.log.warn('Log lines were lost', {
        deploymentId: deployment.id,
        reason: messageOf(error),
      })
    })
    return storing
  }
  const append = (stream: Entry['stream'], text: string) => {
    if (text === '') return
    const last = waiting.at(-1)
    if (last?.stream === stream) last.text += text
    else waiting.push({ stream, text })
    timer ??= setTimeout(() => void flush(), BATCH_MS)
  }
  return {
    note: (line) => append('platform', `${onOneLine(line)}\n`),
    output: (printed) => {
      // PostgreSQL stores no NUL: the whole batch would be lost.
      const text = printed.replaceAll('\0', '\u{FFFD}')
      if (outputChars > MAX_OUTPUT_CHARS) return
      outputChars += text.length
      append('output', text)
      if (outputChars > MAX_OUTPUT_CHARS)
        append('platform', 'The output is cut here: it is too long\n')
    },
    flush,
    [Symbol.asyncDispose]: flush,
  }
}

/** Names of files and words of commands are the tenant's: they must not look like further lines of ours. */
function onOneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1))
}

function splitLong({ stream, text }: Entry): Entry[] {
  const parts: Entry[] = []
  for (let start = 0; start < text.length;) {
    const end = start + MAX_ROW_CHARS
    // A character of two units stays in one row.
    const next = isHighSurrogate(text.charCodeAt(end - 1)) ? end - 1 : end
    parts.push({ stream, text: text.slice(start, next) })
    start = next
  }
  return parts
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}

async function insertRows(
  db: Database,
  deployment: Pick<DeploymentRow, 'id' | 'organization_id'>,
  rows: readonly DeploymentLogRow[],
): Promise<void> {
  const owner = { deployment_id: deployment.id, organization_id: deployment.organization_id }
  // PostgreSQL takes 65,535 parameters a statement.
  for (let start = 0; start < rows.length; start += 1000) {
    const values = rows.slice(start, start + 1000).map((row) => ({ ...owner, ...row }))
    await db.insertInto('deployment_logs').values(values).execute()
  }
}

async function readLastSequence(db: Database, deploymentId: string): Promise<number> {
  const row = await db
    .selectFrom('deployment_logs')
    .select((eb) => eb.fn.max('sequence').as('sequence'))
    .where('deployment_id', '=', deploymentId)
    .executeTakeFirst()
  return row?.sequence ?? 0
}
