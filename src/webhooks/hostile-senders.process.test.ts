import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createTestClock } from '../../test/_deployments.ts'
import { addApp, addLinkedProject } from './_test-hooks.ts'
import { headersOf, openInbox, pushOf } from './_test-inbox.ts'
import { FAILURES_PER_MINUTE } from './receive-delivery.ts'

const MEBIBYTE = 1024 * 1024

/** Sends the head of a request, and gives what the server answers until it closes. */
function dial(port: number, headers: Record<string, string>) {
  const socket = connect(port, '127.0.0.1')
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`POST /hooks/app-hook HTTP/1.1\r\nhost: x\r\n${lines.join('')}\r\n`)
  return { socket, ended: untilClosed(socket) }
}

async function untilClosed(socket: Socket): Promise<string> {
  let text = ''
  const closed = Promise.withResolvers<string>()
  socket.on('data', (data) => (text += data.toString()))
  socket.on('error', () => {})
  socket.on('close', () => closed.resolve(text))
  return await closed.promise
}

/** Sends chunks as fast as they are taken, until the connection ends. */
async function flood(socket: Socket, chunk: Buffer): Promise<void> {
  while (!socket.destroyed) {
    if (socket.write(chunk)) await delay(0)
    else await Promise.race([once(socket, 'drain'), once(socket, 'close')])
  }
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => {
    socket.once(event, () => resolve())
  })
}

function chunkOf(bytes: number): Buffer {
  return Buffer.concat([
    Buffer.from(`${bytes.toString(16)}\r\n`),
    Buffer.alloc(bytes, 'x'),
    Buffer.from('\r\n'),
  ])
}

describeOnBothEngines('the inbox among hostile senders', (open) => {
  it('W-10 refuses what is announced as too large before it comes, and closes', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db)
    const length = { 'content-length': String(26 * MEBIBYTE) }
    const { ended } = dial(inbox.port, { ...headersOf('x'), ...length })
    const answer = await ended
    assert.match(answer, /^HTTP\/1\.1 413 /)
    assert.match(answer, /connection: close/i)
  })

  it('W-11 cuts endless bodies off, and takes good deliveries meanwhile', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db)
    const before = process.memoryUsage.rss()
    const headers = { ...headersOf('x'), 'transfer-encoding': 'chunked' }
    const chunk = chunkOf(65_536)
    const senders = Array.from({ length: 20 }, () => dial(inbox.port, headers))
    const floods = senders.map(({ socket }) => flood(socket, chunk))
    const slowest = await slowestOf(10, async () => {
      assert.equal((await inbox.post(pushOf())).status, 202)
    })
    const answers = await Promise.all(senders.map(({ ended }) => ended))
    await Promise.all(floods)
    const statuses = answers.map((answer) => answer.slice(9, 12)).filter((status) => status !== '')
    for (const status of statuses) assert.ok(['413', '503'].includes(status), status)
    assert.ok(slowest < 1000, `${slowest} ms`)
    const grown = process.memoryUsage.rss() - before
    assert.ok(grown < (64 + 32 + 64) * MEBIBYTE, `${grown / MEBIBYTE} MiB`)
    assert.equal((await inbox.post(pushOf())).status, 202)
  })

  it('W-11 holds little for a body in chunks of one byte', async () => {
    await using database = await open()
    await addApp(database.db)
    await using inbox = await openInbox(database.db, { bodyDeadlineMs: 2000 })
    const before = process.memoryUsage.rss()
    const headers = { ...headersOf('x'), 'transfer-encoding': 'chunked' }
    const chunk = Buffer.from('1\r\nx\r\n'.repeat(10_000))
    const sender = dial(inbox.port, headers)
    await flood(sender.socket, chunk)
    assert.match(await sender.ended, /^(HTTP\/1\.1 408 |$)/)
    const grown = process.memoryUsage.rss() - before
    assert.ok(grown < 100 * MEBIBYTE, `${grown / MEBIBYTE} MiB`)
  })

  it('W-12 waits for no slow body, and takes good deliveries beside 300 of them', async () => {
    await using database = await open()
    await addApp(database.db)
    await addLinkedProject(database.db)
    await using inbox = await openInbox(database.db, { bodyDeadlineMs: 1500 })
    const headers = { ...headersOf('x'), 'content-length': '1000' }
    const started = Date.now()
    const senders = Array.from({ length: 300 }, () => {
      const sender = dial(inbox.port, headers)
      sender.socket.write('{')
      return sender
    })
    const slowest = await slowestOf(5, async () => {
      assert.equal((await inbox.post(pushOf())).status, 202)
    })
    assert.ok(slowest < 1000, `${slowest} ms`)
    const answers = await Promise.all(senders.map(({ ended }) => ended))
    for (const answer of answers) assert.match(answer, /^HTTP\/1\.1 408 /)
    assert.ok(Date.now() - started < 10_000)
  })

  it('W-36 counts large bodies that never end as failures', async () => {
    await using database = await open()
    await addApp(database.db)
    const clock = createTestClock()
    await using inbox = await openInbox(database.db, { clock, bodyDeadlineMs: 1000 })
    const headers = { ...headersOf('x'), 'content-length': String(MEBIBYTE) }
    const part = Buffer.alloc(300_000, 'x')
    const senders = Array.from({ length: FAILURES_PER_MINUTE }, () => {
      const sender = dial(inbox.port, headers)
      sender.socket.write(part)
      return sender
    })
    for (const { ended } of senders) assert.match(await ended, /^HTTP\/1\.1 408 /)
    const answer = await inbox.post(part, { secret: 'another' })
    assert.equal(answer.status, 429)
    assert.equal((await inbox.post(pushOf())).status, 202)
  })
})

/** The slowest of some calls, one after another, in milliseconds. */
async function slowestOf(times: number, call: () => Promise<void>): Promise<number> {
  let slowest = 0
  for (let done = 0; done < times; done += 1) {
    const started = performance.now()
    await call()
    slowest = Math.max(slowest, performance.now() - started)
  }
  return slowest
}
