import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'

import { systemClock } from '../lib/clock.ts'
import type { ExitFacts } from '../spawner/spawner.ts'
import { waitUntilHealthy } from './wait-until-healthy.ts'

const signal = new AbortController().signal
const ref = { unit: 'app-1', pid: 2, startTicks: '1', bootId: 'boot' }

async function listen(answer: (asked: { host: string | undefined; count: number }) => number) {
  let count = 0
  const server = createServer((request, response) => {
    count += 1
    response.writeHead(answer({ host: request.headers.host, count })).end('body')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    asked: () => count,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function targetOf(port: number, timeoutMs: number) {
  const hostname = 'shop.localhost'
  return { ref, accountSlot: 1, port, path: '/health', hostname, timeoutMs }
}

function runtimeThat(owns: boolean, exited: Promise<ExitFacts> = new Promise(() => {})) {
  return { ownsPort: () => Promise.resolve(owns), exited: () => exited }
}

describe('waitUntilHealthy()', () => {
  it('asks again until the app answers 2xx or 3xx, by its own name', async () => {
    const hosts: (string | undefined)[] = []
    await using app = await listen(({ host, count }) => {
      hosts.push(host)
      return count < 3 ? 503 : 302
    })
    const deps = { clock: systemClock, runtime: runtimeThat(true) }
    const health = await waitUntilHealthy(deps, targetOf(app.port, 10_000), signal)
    assert.deepEqual(health, { kind: 'healthy', status: 302 })
    assert.deepEqual(hosts, ['shop.localhost', 'shop.localhost', 'shop.localhost'])
  })

  it('D-18 never asks a neighbour that took the port', async () => {
    await using neighbour = await listen(() => 200)
    const deps = { clock: systemClock, runtime: runtimeThat(false) }
    const health = await waitUntilHealthy(deps, targetOf(neighbour.port, 300), signal)
    assert.equal(health.kind, 'timed_out')
    assert.equal(neighbour.asked(), 0)
  })

  it('keeps the last answer when the deadline passes', async () => {
    await using app = await listen(() => 500)
    const deps = { clock: systemClock, runtime: runtimeThat(true) }
    const health = await waitUntilHealthy(deps, targetOf(app.port, 200), signal)
    assert.deepEqual(health, { kind: 'timed_out', lastAnswer: 'it answered 500' })
  })

  it('ends at once when the app has ended', async () => {
    await using app = await listen(() => 500)
    const exit = { exitCode: 7, exitSignal: null }
    const deps = { clock: systemClock, runtime: runtimeThat(true, Promise.resolve(exit)) }
    const health = await waitUntilHealthy(deps, targetOf(app.port, 60_000), signal)
    assert.equal(health.kind, 'exited')
    assert.deepEqual(health.kind === 'exited' && health.exit, exit)
  })

  it('ends with the reason of its signal', async () => {
    const abort = new AbortController()
    await using app = await listen(() => {
      abort.abort(new Error('cancelled'))
      return 500
    })
    const deps = { clock: systemClock, runtime: runtimeThat(true) }
    await assert.rejects(
      waitUntilHealthy(deps, targetOf(app.port, 60_000), abort.signal),
      /cancelled/,
    )
  })
})
