import type { Database } from '../database/database.ts'
import {
  formatAnchor,
  GENESIS,
  isAuthentic,
  macOf,
  positionOf,
  readChainRow,
  selectStored,
  type ChainPosition,
  type StoredEvent,
} from './audit-chain.ts'

/** Something that is not as it was sealed. */
export interface AuditProblem {
  kind: 'changed' | 'missing' | 'foreign' | 'head' | 'checkpoint' | 'anchor'
  /** A sentence that names the events. */
  message: string
  /** The place in the chain, the first one of several; null when it is not about one. */
  sequence: number | null
  eventId: string | null
}

export interface AuditVerdict {
  /** Events that were looked at. */
  events: number
  /** Events too new to be sealed. */
  unsealed: number
  /** The end of the chain, to be kept as an anchor; null when there is none. */
  anchor: string | null
  /** The first 100 of them. */
  problems: AuditProblem[]
  problemCount: number
}

export type VerifyStep =
  | { kind: 'progress'; verified: number; total: number }
  | { kind: 'verdict'; verdict: AuditVerdict }

/** Rows in memory at a time. */
const PAGE = 1000
const MAX_PROBLEMS = 100

interface VerifyDeps {
  db: Database
  /** Of the instance: `readInstanceSecret(…, 'audit')`. */
  secret: Buffer
}

/** After which event we are. Without a mac the one before is not known, so the next cannot be checked against it. */
interface Walk {
  sequence: number
  mac: string | null
}

interface Findings {
  problems: AuditProblem[]
  count: number
}

/**
 * Goes through the whole chain in its order and finds what was changed, removed, put in or cut off; with an anchor (the
 * head of an earlier day, kept elsewhere) also a chain that was rolled back as a whole. Works beside writers, sealing
 * and retention. Yields the progress, and at last the verdict.
 */
export async function* verifyAudit(
  deps: VerifyDeps,
  options: { anchor: ChainPosition | null; pageSize?: number },
  signal?: AbortSignal,
): AsyncGenerator<VerifyStep, void> {
  const findings: Findings = { problems: [], count: 0 }
  const start = await readStart(deps, findings)
  const head = await readHead(deps, findings)
  const anchor = anchorCheck(findings, options.anchor)
  anchor.begin(start)
  let walk: Walk = start
  let events = 0
  let after: number | null = null
  for (;;) {
    signal?.throwIfAborted()
    const page: StoredEvent[] = await readPage(deps.db, {
      after,
      upTo: head?.sequence ?? null,
      limit: options.pageSize ?? PAGE,
    })
    const last = page.at(-1)
    if (last === undefined) break
    for (const event of page) {
      walk = await checkEvent(deps, findings, walk, event)
      anchor.pass(event)
    }
    events += page.length
    after = last.sequence
    yield { kind: 'progress', verified: events, total: (head?.sequence ?? events) - start.sequence }
  }
  if (head !== null) await checkEnd(deps, findings, walk, head)
  anchor.end(head?.sequence ?? walk.sequence)
  yield { kind: 'verdict', verdict: await verdictOf(deps, findings, events, head) }
}

async function verdictOf(
  { db }: VerifyDeps,
  findings: Findings,
  events: number,
  head: ChainPosition | null,
): Promise<AuditVerdict> {
  const { unsealed } = await db
    .selectFrom('audit_events')
    .select((eb) => eb.fn.countAll().as('unsealed'))
    .where('sequence', 'is', null)
    .executeTakeFirstOrThrow()
  return {
    events,
    unsealed: Number(unsealed),
    anchor: head === null || head.sequence === 0 ? null : formatAnchor(head),
    problems: findings.problems,
    problemCount: findings.count,
  }
}

/** Retention moves the beginning of the chain on and leaves a signed row. */
async function readStart({ db, secret }: VerifyDeps, findings: Findings): Promise<ChainPosition> {
  const row = await readChainRow(db, 'checkpoint')
  if (row === undefined) return GENESIS
  if (isAuthentic(secret, row)) return positionOf(row)
  const message = 'The checkpoint, which says what retention removed, was not signed here'
  add(findings, { kind: 'checkpoint', message, sequence: row.sequence })
  return GENESIS
}

/** Null: there is no chain yet, or it has lost its head, which is noted. */
async function readHead(
  { db, secret }: VerifyDeps,
  findings: Findings,
): Promise<ChainPosition | null> {
  const row = await readChainRow(db, 'head')
  if (row !== undefined && isAuthentic(secret, row)) return positionOf(row)
  if (row !== undefined) {
    const message = 'The head, which says where the chain ends, was not signed here'
    add(findings, { kind: 'head', message, sequence: row.sequence })
    return null
  }
  const sealed = await db
    .selectFrom('audit_events')
    .select('id')
    .where('sequence', 'is not', null)
    .limit(1)
    .executeTakeFirst()
  if (sealed !== undefined || (await readChainRow(db, 'checkpoint')) !== undefined) {
    const message = 'The head, which says where the chain ends, is missing'
    add(findings, { kind: 'head', message })
  }
  return null
}

async function readPage(
  db: Database,
  { after, upTo, limit }: { after: number | null; upTo: number | null; limit: number },
): Promise<StoredEvent[]> {
  let query = selectStored(db).where('sequence', 'is not', null)
  if (after !== null) query = query.where('sequence', '>', after)
  if (upTo !== null) query = query.where('sequence', '<=', upTo)
  return await query.orderBy('sequence').limit(limit).execute()
}

async function checkEvent(
  deps: VerifyDeps,
  findings: Findings,
  before: Walk,
  event: StoredEvent,
): Promise<Walk> {
  const sequence = event.sequence ?? 0
  const walk = sequence > before.sequence + 1 ? await catchUp(deps, before) : before
  if (sequence <= walk.sequence) {
    // Retention removed it after we had read its page.
    if (walk !== before) return walk
    const message = `Event ${sequence} (${event.id}) was put in: that place was given to another`
    add(findings, { kind: 'foreign', message, sequence, eventId: event.id })
    return walk
  }
  if (sequence > walk.sequence + 1) {
    addMissing(findings, walk.sequence + 1, sequence - 1, `before event ${event.id}`)
    return { sequence, mac: event.mac }
  }
  const expected = walk.mac === null ? event.mac : macOf(deps.secret, positionIn(walk), event)
  if (event.mac !== expected) {
    const message = `Event ${sequence} (${event.id}, "${event.action}") is not as it was sealed`
    add(findings, { kind: 'changed', message, sequence, eventId: event.id })
  }
  return { sequence, mac: event.mac }
}

function positionIn({ sequence, mac }: Walk): ChainPosition {
  return { sequence, mac: mac ?? '' }
}

/** Behind a gap, retention may have moved the beginning since we began. */
async function catchUp({ db, secret }: VerifyDeps, walk: Walk): Promise<Walk> {
  const row = await readChainRow(db, 'checkpoint')
  if (row === undefined || !isAuthentic(secret, row) || row.sequence <= walk.sequence) return walk
  return positionOf(row)
}

async function checkEnd(
  deps: VerifyDeps,
  findings: Findings,
  before: Walk,
  head: ChainPosition,
): Promise<void> {
  const walk = before.sequence < head.sequence ? await catchUp(deps, before) : before
  if (walk.sequence < head.sequence) {
    addMissing(findings, walk.sequence + 1, head.sequence, 'at the end of the chain')
  } else if (walk.sequence === head.sequence && walk.mac !== null && walk.mac !== head.mac) {
    const message = `Event ${head.sequence} is not the one with which the head was signed`
    add(findings, { kind: 'head', message, sequence: head.sequence })
  }
  // One statement: what is sealed meanwhile moves the head with it.
  const beyond = await deps.db
    .selectFrom('audit_events')
    .select(['id', 'sequence'])
    .where('sequence', '>', (eb) =>
      eb.selectFrom('audit_chain').select('sequence').where('name', '=', 'head'),
    )
    .orderBy('sequence')
    .limit(1)
    .executeTakeFirst()
  if (beyond === undefined) return
  const message = `Event ${beyond.sequence} (${beyond.id}) comes after the head: an older head was put in`
  add(findings, { kind: 'head', message, sequence: beyond.sequence, eventId: beyond.id })
}

function anchorCheck(findings: Findings, anchor: ChainPosition | null) {
  const compare = (at: ChainPosition) => {
    if (anchor === null || at.sequence !== anchor.sequence || at.mac === anchor.mac) return
    const message = `Event ${at.sequence} is another one than when the anchor was taken: the chain was rolled back or replaced`
    add(findings, { kind: 'anchor', message, sequence: at.sequence })
  }
  return {
    begin: (start: ChainPosition) => {
      if (anchor !== null && anchor.sequence < start.sequence) {
        const message = `The anchor cannot be compared: retention removed the events up to ${start.sequence}, its own among them. Take a newer one`
        add(findings, { kind: 'anchor', message, sequence: anchor.sequence })
      }
      compare(start)
    },
    pass: (event: StoredEvent) => compare({ sequence: event.sequence ?? 0, mac: event.mac ?? '' }),
    end: (last: number) => {
      if (anchor === null || anchor.sequence <= last) return
      const message = `The chain ends at ${last}, before the anchor's event ${anchor.sequence}: it was rolled back`
      add(findings, { kind: 'anchor', message, sequence: anchor.sequence })
    },
  }
}

function addMissing(findings: Findings, from: number, to: number, where: string): void {
  const which = from === to ? `Event ${from} is` : `Events ${from} to ${to} are`
  add(findings, { kind: 'missing', message: `${which} missing ${where}`, sequence: from })
}

function add(
  findings: Findings,
  problem: Pick<AuditProblem, 'kind' | 'message'> & Partial<AuditProblem>,
): void {
  findings.count += 1
  if (findings.problems.length >= MAX_PROBLEMS) return
  findings.problems.push({ sequence: null, eventId: null, ...problem })
}
