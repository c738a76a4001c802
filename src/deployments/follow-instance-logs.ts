import type { Database } from '../database/database.ts'
import type { InstanceState } from '../database/schema.ts'
import type { Clock } from '../lib/clock.ts'
import { endOfInstanceLog, readInstanceLog, type InstanceLogPlaces } from './instance-logs.ts'

/** One line that an app printed. `position` names the place behind it: `<instance>:<offset>`. */
export interface InstanceLogLine {
  position: string
  instanceId: string
  text: string
}

interface FollowDeps {
  db: Database
  clock: Clock
  logPlaces: InstanceLogPlaces
  /** Removes secrets; sees whole lines. */
  redact: (text: string) => string
}

interface FollowOptions {
  /** Go on behind this position; else begin with the last `tail` lines. */
  after: string | null
  tail: number
  follow: boolean
}

interface Cursor {
  instanceId: string
  offset: number
}

interface InstanceFact {
  id: string
  state: InstanceState
}

const CHUNK_BYTES = 65_536
const TAIL_BYTES = 1_048_576
const POLL_MS = 500
const ENDED: readonly InstanceState[] = ['stopped', 'crashed', 'crash_loop']
const NEWLINE = 0x0a

/**
 * What the instances of a project print, one instance after the other, line by line. With `follow` it goes on until the
 * signal aborts, to the next instance when that one runs.
 */
export async function* followInstanceLogs(
  deps: FollowDeps,
  projectId: string,
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<InstanceLogLine> {
  let cursor = await firstCursor(deps, projectId, options)
  while (!signal.aborted) {
    const instances = await listInstances(deps.db, projectId)
    cursor ??= instances[0] === undefined ? null : { instanceId: instances[0].id, offset: 0 }
    if (cursor !== null) {
      const { lines, next } = await readLines(deps, cursor, isOver(instances, cursor))
      yield* lines
      if (next.offset !== cursor.offset) {
        cursor = next
        continue
      }
      const successor = successorOf(instances, cursor, options.follow)
      if (successor !== null) {
        cursor = { instanceId: successor, offset: 0 }
        continue
      }
    }
    if (!options.follow) return
    await deps.clock.sleep(POLL_MS, signal).catch(() => {})
  }
}

function listInstances(db: Database, projectId: string): Promise<InstanceFact[]> {
  return db
    .selectFrom('instances')
    .select(['id', 'state'])
    .where('project_id', '=', projectId)
    .orderBy('id')
    .execute()
}

async function firstCursor(
  deps: FollowDeps,
  projectId: string,
  options: FollowOptions,
): Promise<Cursor | null> {
  const instances = await listInstances(deps.db, projectId)
  const given = parsePosition(options.after)
  if (given !== null && instances.some((instance) => instance.id === given.instanceId)) return given
  let missing = options.tail
  let cursor: Cursor | null = null
  for (const instance of instances.toReversed()) {
    const found = await lastLines(deps.logPlaces, instance.id, missing)
    cursor = { instanceId: instance.id, offset: found.offset }
    missing -= found.lines
    if (missing <= 0) break
  }
  return cursor
}

function parsePosition(position: string | null): Cursor | null {
  const match = /^([a-z0-9-]{1,64}):(\d{1,15})$/.exec(position ?? '')
  return match?.[1] === undefined ? null : { instanceId: match[1], offset: Number(match[2]) }
}

/** Where the last `count` lines begin, as far as they are within the last MiB. */
async function lastLines(
  places: InstanceLogPlaces,
  instanceId: string,
  count: number,
): Promise<{ offset: number; lines: number }> {
  const end = await endOfInstanceLog(places, instanceId)
  if (count <= 0) return { offset: end, lines: 0 }
  const from = Math.max(0, end - TAIL_BYTES)
  const { bytes, start } = await readInstanceLog(places, instanceId, from, TAIL_BYTES)
  let offset = start + bytes.length
  let lines = 0
  let searchFrom = bytes.at(-1) === NEWLINE ? bytes.length - 2 : bytes.length - 1
  while (lines < count && searchFrom >= 0) {
    const newline = bytes.lastIndexOf(NEWLINE, searchFrom)
    // A line that begins before what was read is cut: it is left out.
    if (newline === -1 && start > 0) break
    lines += 1
    offset = start + newline + 1
    searchFrom = newline - 1
    if (newline <= 0) break
  }
  return { offset, lines }
}

function isOver(instances: readonly InstanceFact[], cursor: Cursor): boolean {
  const state = instances.find((instance) => instance.id === cursor.instanceId)?.state
  return state === undefined || ENDED.includes(state)
}

/** The next instance, as soon as it is the one that people talk about. */
function successorOf(
  instances: readonly InstanceFact[],
  cursor: Cursor,
  follow: boolean,
): string | null {
  const next = instances.find((instance) => instance.id > cursor.instanceId)
  if (next === undefined) return null
  return !follow || next.state !== 'starting' || isOver(instances, cursor) ? next.id : null
}

/** Whole lines behind the cursor; an unfinished one waits for its end, unless it is long or the app is over. */
async function readLines(
  deps: FollowDeps,
  cursor: Cursor,
  over: boolean,
): Promise<{ lines: InstanceLogLine[]; next: Cursor }> {
  const { bytes, start } = await readInstanceLog(
    deps.logPlaces,
    cursor.instanceId,
    cursor.offset,
    CHUNK_BYTES,
  )
  const lastNewline = bytes.lastIndexOf(NEWLINE)
  const isWhole = lastNewline === -1 && (over || bytes.length === CHUNK_BYTES)
  const whole = bytes.subarray(0, isWhole ? bytes.length : lastNewline + 1)
  if (whole.length === 0) return { lines: [], next: { ...cursor, offset: start } }
  const next = { instanceId: cursor.instanceId, offset: start + whole.length }
  return { lines: linesOf(deps.redact, whole, cursor.instanceId, start), next }
}

function linesOf(
  redact: (text: string) => string,
  whole: Buffer,
  instanceId: string,
  start: number,
): InstanceLogLine[] {
  const ends = lineEnds(whole)
  const redacted = redact(whole.toString('utf8').replace(/\n$/, '')).split('\n')
  // A secret of several lines became one: then only the last position is certain, and a resumed reader sees lines again.
  const exact = redacted.length === ends.length
  return redacted.map((text, index) => {
    const isLast = index === redacted.length - 1
    const offset = exact ? (ends[index] ?? 0) : isLast ? whole.length : 0
    return {
      position: `${instanceId}:${start + offset}`,
      instanceId,
      text: text.replace(/\r$/, ''),
    }
  })
}

function lineEnds(whole: Buffer): number[] {
  const ends: number[] = []
  for (let at = whole.indexOf(NEWLINE); at !== -1; at = whole.indexOf(NEWLINE, at + 1)) {
    ends.push(at + 1)
  }
  if (whole.at(-1) !== NEWLINE) ends.push(whole.length)
  return ends
}
