import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import type { DatabaseLocation } from '../database/open-database.ts'
import { reconcileBranch } from '../deployments/reconcile-branch.ts'
import { systemClock, toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { sourcesAt } from './_sources-at.ts'
import { addApp, addLinkedProject } from './_test-hooks.ts'
import { headersOf, pushOf } from './_test-inbox.ts'

const HEAD = 'b'.repeat(40)
const PROJECTS = 20
const DELIVERIES = 200

interface Running {
  child: ChildProcess
  port: number
}

async function start(location: DatabaseLocation): Promise<Running> {
  const program = join(import.meta.dirname, '_inbox-process.ts')
  const child = spawn(process.execPath, [program, JSON.stringify(location), HEAD], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { stdout } = child
  for await (const line of createInterface({ input: stdout })) return { child, port: Number(line) }
  throw new Error('The inbox ended before it listened')
}

async function kill({ child }: Running): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

describeOnBothEngines('an inbox that is killed', (open) => {
  it('W-33 W-20 loses nothing that it acknowledged, and deploys nothing twice', async () => {
    await using database = await open()
    const { db, location } = database
    await addApp(db)
    const repos = Array.from({ length: PROJECTS }, (_, index) => 100 + index)
    for (const repoId of repos) await addLinkedProject(db, { repoId })
    let running = await start(location)
    const end = new AbortController()
    const killing = (async () => {
      for (let kills = 0; kills < 6 && !end.signal.aborted; kills += 1) {
        await delay(randomInt(50, 400))
        await kill(running)
        running = await start(location)
      }
    })()
    const acknowledged = new Set<string>()
    const queue = Array.from({ length: DELIVERIES }, (_, index) => index)
    const send = async () => {
      for (let index = queue.shift(); index !== undefined; index = queue.shift()) {
        const body = pushOf({ after: HEAD, repository: { id: 100 + (index % PROJECTS) } })
        const headers = headersOf(body, { guid: `guid-${index}` })
        const url = `http://127.0.0.1:${running.port}/hooks/app-hook`
        const answer = await fetch(url, { method: 'POST', headers, body }).catch(() => null)
        // As a host does that sends again what was not taken.
        if (answer?.ok === true) acknowledged.add(`guid-${index}`)
        else queue.push(index)
        await delay(answer === null ? 20 : randomInt(10))
      }
    }
    await Promise.all(Array.from({ length: 4 }, send))
    end.abort()
    await killing
    // What a killed process held is due when its lease is over.
    await db.updateTable('webhook_deliveries').set({ lease_expires_at: '' }).execute()
    const rows = await untilWorkedOn(() =>
      db
        .selectFrom('webhook_deliveries')
        .select(['delivery_id', 'state', 'error_message'])
        .execute(),
    )
    await kill(running)
    assert.deepEqual(new Set(rows.map((row) => row.delivery_id)), acknowledged)
    assert.equal(rows.length, DELIVERIES)
    for (const { state, error_message } of rows)
      assert.equal(state, 'processed', error_message ?? '')
    const outcomes = await db.selectFrom('delivery_outcomes').select('outcome').execute()
    assert.equal(outcomes.length, DELIVERIES)
    await lookWhereAsked(db)
    const deployments = await db.selectFrom('deployments').select('project_id').execute()
    assert.equal(deployments.length, PROJECTS)
    assert.equal(new Set(deployments.map((one) => one.project_id)).size, PROJECTS)
  })
})

async function untilWorkedOn<Row extends { state: string }>(
  read: () => Promise<Row[]>,
): Promise<Row[]> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const rows = await read()
    if (rows.every(({ state }) => state !== 'received') || Date.now() > deadline) return rows
    await delay(100)
  }
}

/** Where a killed process was looking, others ask the poll to look, which is no part of the inbox. */
async function lookWhereAsked(db: Database): Promise<void> {
  await db.updateTable('projects').set({ reconcile_expires_at: '' }).execute()
  const due = await db
    .selectFrom('projects')
    .select('id')
    .where('next_poll_at', '<=', toIsoTime(Date.now()))
    .execute()
  const deps = { db, clock: systemClock, newId, log: silentLogger, sources: sourcesAt(HEAD) }
  const { signal } = new AbortController()
  for (const { id } of due) await reconcileBranch(deps, id, { kind: 'timer' }, signal)
}
