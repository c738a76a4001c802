import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { addApp, addLinkedProject } from './_test-hooks.ts'
import { openInbox, pushOf } from './_test-inbox.ts'

const MEBIBYTE = 1024 * 1024

/** How long the event loop stood still at most, in milliseconds, while something was done. */
async function longestStandstill(work: () => Promise<void>): Promise<number> {
  const delays = monitorEventLoopDelay({ resolution: 5 })
  delays.enable()
  await work()
  delays.disable()
  return delays.max / 1e6
}

function repeated(text: string, bytes: number): string {
  return text.repeat(Math.floor(bytes / text.length))
}

describeOnBothEngines('large bodies', (open) => {
  it('takes a push of 24 MiB without standing still', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db)
    const commits = repeated('{"id":"0123456789abcdef","message":"Change"},', 24 * MEBIBYTE)
    const body = Buffer.from(
      pushOf({ commits: 0 }).replace('"commits":0', `"commits":[${commits}0]`),
    )
    // The thread starts, and what sends the body is warm.
    await inbox.post(Buffer.from(pushOf({ pad: 'x'.repeat(300_000) })))
    let status = 0
    const standstill = await longestStandstill(async () => {
      ;({ status } = await inbox.post(body))
    })
    assert.equal(status, 202)
    await inbox.settled()
    assert.equal(inbox.looks.length, 2)
    // Of which most is this test's own, that signs and sends 24 MiB at once.
    assert.ok(standstill < 250, `${standstill} ms`)
    const row = await database.db
      .selectFrom('webhook_deliveries')
      .select(['body_bytes', 'body_sealed'])
      .orderBy('id', 'desc')
      .executeTakeFirstOrThrow()
    assert.equal(row.body_bytes, body.length)
    assert.ok((row.body_sealed?.length ?? 0) < MEBIBYTE)
  })

  it('W-15 survives JSON that is made to hurt', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db)
    const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    const keys = Array.from({ length: 2 ** 20 }, (_, index) => `"k${index}":0`).join(',')
    const bodies: [number, string][] = [
      [202, nested(100_000)],
      [202, nested(5_000_000)],
      [202, `{${keys}}`],
      [400, '['.repeat(20 * MEBIBYTE)],
      [400, `[${repeated('{"a":[]},', 20 * MEBIBYTE)}0]`],
      [400, 'x'.repeat(MEBIBYTE)],
    ]
    for (const [status, body] of bodies) {
      let answer = 0
      const bytes = Buffer.from(body)
      const standstill = await longestStandstill(async () => {
        answer = (await inbox.post(bytes)).status
      })
      const name = `${body.slice(0, 10)} of ${body.length}`
      // What cannot be parsed within the thread's memory is malformed.
      assert.ok(answer === status || answer === 400, `${name}: ${answer}`)
      assert.ok(standstill < 250, `${name}: ${standstill} ms`)
    }
    assert.equal((await inbox.post(pushOf())).status, 202)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })

  it('keeps no body that is large even when compressed', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db)
    const random = Array.from({ length: 100 }, () => randomBytes(32_768).toString('base64'))
    assert.equal((await inbox.post(pushOf({ random }))).status, 202)
    const row = await database.db
      .selectFrom('webhook_deliveries')
      .select(['body_sealed', 'body_bytes'])
      .executeTakeFirstOrThrow()
    assert.equal(row.body_sealed, null)
    assert.ok(row.body_bytes > 4 * MEBIBYTE)
  })
})
