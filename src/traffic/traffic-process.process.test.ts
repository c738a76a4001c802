import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { WebSocket, WebSocketServer } from 'ws'

import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import {
  ask,
  HOST,
  instance,
  makeDirectory,
  pathsIn,
  route,
  startApp,
  startTestTraffic,
} from './_test-servers.ts'
import { connectTraffic } from './traffic-client.ts'

function connectTo(directory: string) {
  return connectTraffic(pathsIn(directory).controlSocketPath, {
    clock: systemClock,
    log: silentLogger,
  })
}

async function startChild(directory: string, port: number, drainMs = 2000) {
  const script = fileURLToPath(import.meta.resolve('./_traffic-child.ts'))
  const child = spawn(process.execPath, [script, directory, String(port), String(drainMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    const entry = JSON.parse(line) as { msg: string; port: number }
    if (entry.msg !== 'traffic listening') continue
    child.stdout.resume()
    return {
      port: entry.port,
      kill: (signal: NodeJS.Signals) => child.kill(signal),
      exited,
      async [Symbol.asyncDispose]() {
        child.kill('SIGKILL')
        await exited
      },
    }
  }
  throw new Error('The traffic process ended before it listened')
}

/** Clients with kept connections that ask without a pause until they are stopped. Any failure rejects `stop`. */
function startLoad(port: number, clients: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const seen = new Map<string, number>()
  const stopped = new AbortController()
  const runClient = async () => {
    while (!stopped.signal.aborted) {
      const answer = await ask(port, HOST, '/', { agent })
      assert.equal(answer.status, 200)
      seen.set(answer.body, (seen.get(answer.body) ?? 0) + 1)
    }
  }
  const all = Promise.all(Array.from({ length: clients }, runClient))
  all.catch(() => {})
  return {
    seen,
    async hasSeen(body: string, times: number) {
      while ((seen.get(body) ?? 0) < times) {
        await Promise.race([all, new Promise((resolve) => setImmediate(resolve))])
      }
    },
    async stop() {
      stopped.abort()
      await all
      agent.destroy()
    },
  }
}

describe('startTraffic()', () => {
  it('D-10 swaps apps under kept connections without a failed request', async () => {
    await using directory = await makeDirectory()
    await using traffic = await startTestTraffic(directory.path)
    await using client = connectTo(directory.path)
    await using one = await startApp((_, response) => response.end('one'))
    await using two = await startApp((_, response) => response.end('two'))
    await client.publish({ version: 1, routes: [route(HOST, instance('one', one.port))] })
    const load = startLoad(traffic.port, 8)
    for (let round = 1; round <= 5; round++) {
      const [id, app] = round % 2 === 1 ? (['two', two] as const) : (['one', one] as const)
      const other = round % 2 === 1 ? 'one' : 'two'
      await load.hasSeen(other, round * 20)
      await client.publish({ version: round + 1, routes: [route(HOST, instance(id, app.port))] })
      await client.drain(other, { timeoutMs: 1000 })
    }
    await load.hasSeen('two', 200)
    await load.stop()
    assert.equal((await client.stats()).requests['5xx'], 0)
  })

  it('D-10 lets a slow upload and a streaming answer finish at the old app, and waits for them', async () => {
    await using directory = await makeDirectory()
    await using traffic = await startTestTraffic(directory.path)
    await using client = connectTo(directory.path)
    const streaming = Promise.withResolvers<ServerResponse>()
    await using old = await startApp((request, response) => {
      if (request.method === 'POST') void text(request).then((body) => response.end(body))
      else {
        response.write('begin ')
        streaming.resolve(response)
      }
    })
    await using next = await startApp((_, response) => response.end('next'))
    await client.publish({ version: 1, routes: [route(HOST, instance('old', old.port))] })
    const upload = httpRequest({
      port: traffic.port,
      host: '127.0.0.1',
      method: 'POST',
      headers: { host: HOST },
      agent: false,
    })
    const uploaded = once(upload, 'response')
    upload.write('slow ')
    const streamed = ask(traffic.port, HOST)
    const stream = await streaming.promise
    await client.publish({ version: 2, routes: [route(HOST, instance('next', next.port))] })
    assert.equal((await ask(traffic.port, HOST)).body, 'next')
    assert.deepEqual((await client.stats()).inFlight, { old: 2 })
    let drained = false
    const draining = client.drain('old', { timeoutMs: 10_000 }).then(() => (drained = true))
    upload.end('upload')
    const [response] = (await uploaded) as [NodeJS.ReadableStream]
    assert.equal(await text(response), 'slow upload')
    assert.equal(drained, false)
    stream.end('end')
    assert.equal((await streamed).body, 'begin end')
    await draining
  })

  it('D-10 keeps a WebSocket over a swap and closes it with 1001 at the drain limit', async () => {
    await using directory = await makeDirectory()
    await using traffic = await startTestTraffic(directory.path)
    await using client = connectTo(directory.path)
    await using app = await startApp((_, response) => response.writeHead(426).end())
    const echo = new WebSocketServer({ server: app.server })
    const appSaw = Promise.withResolvers<number>()
    echo.on('connection', (socket) => {
      socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`))
      socket.on('close', (code) => appSaw.resolve(code))
    })
    await client.publish({ version: 1, routes: [route(HOST, instance('old', app.port))] })
    const socket = new WebSocket(`ws://127.0.0.1:${traffic.port}/`, { headers: { host: HOST } })
    await once(socket, 'open')
    await client.publish({ version: 2, routes: [] })
    socket.send('hello')
    const [message] = (await once(socket, 'message')) as [Buffer]
    assert.equal(message.toString(), 'echo hello')
    const closed = once(socket, 'close')
    await client.drain('old', { timeoutMs: 10 })
    const [code] = (await closed) as [number]
    assert.equal(code, 1001)
    assert.equal(await appSaw.promise, 1001)
    assert.deepEqual((await client.stats()).inFlight, {})
  })

  it('passes a refused upgrade on and keeps no way past the proxy open', async () => {
    await using directory = await makeDirectory()
    await using traffic = await startTestTraffic(directory.path)
    await using client = connectTo(directory.path)
    await using app = await startApp((_, response) => response.end('ordinary'))
    app.server.on('upgrade', (_, socket) => {
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno')
    })
    await client.publish({ version: 1, routes: [route(HOST, instance('a', app.port))] })
    const socket = new WebSocket(`ws://127.0.0.1:${traffic.port}/`, { headers: { host: HOST } })
    socket.on('error', () => {})
    const [, response] = (await once(socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number; headers: Record<string, string> },
    ]
    assert.equal(response.statusCode, 401)
    assert.equal(response.headers['connection'], 'close')
    socket.terminate()
  })

  it('keeps its socket and its table to its own user', async () => {
    await using directory = await makeDirectory()
    await using _traffic = await startTestTraffic(directory.path)
    await using client = connectTo(directory.path)
    await client.publish({ version: 1, routes: [] })
    const paths = pathsIn(directory.path)
    assert.equal((await stat(paths.controlSocketPath)).mode & 0o777, 0o600)
    assert.equal((await stat(paths.routesFile)).mode & 0o777, 0o600)
    assert.deepEqual(await readdir(join(directory.path, 'traffic')), ['routes.json'])
  })

  it('refuses a table older than the one it serves', async () => {
    await using directory = await makeDirectory()
    await using _traffic = await startTestTraffic(directory.path)
    await using client = connectTo(directory.path)
    await client.publish({ version: 2, routes: [] })
    await assert.rejects(client.publish({ version: 1, routes: [] }), {
      code: 'traffic.stale_table',
    })
  })

  it('does not share its port with the traffic process of another data directory', async () => {
    await using directory = await makeDirectory()
    await using other = await makeDirectory()
    await using traffic = await startTestTraffic(directory.path)
    await assert.rejects(startTestTraffic(other.path, { port: traffic.port }), {
      code: 'traffic.port_in_use',
    })
  })

  it('starts without routes when the stored table is damaged', async () => {
    await using directory = await makeDirectory()
    const { routesFile } = pathsIn(directory.path)
    await mkdir(join(directory.path, 'traffic'))
    await writeFile(routesFile, '{"version":1,"rou')
    await using traffic = await startTestTraffic(directory.path)
    assert.equal((await ask(traffic.port, HOST)).status, 404)
  })
})

describe('runTrafficProcess()', () => {
  it('D-08 serves from the stored table at once after a kill -9, and gets the newest one again', async () => {
    await using directory = await makeDirectory()
    await using app = await startApp((_, response) => response.end('app'))
    const target = instance('a', app.port, process.getuid?.() ?? null)
    await using client = connectTo(directory.path)
    const first = await startChild(directory.path, 0)
    await client.publish({ version: 1, routes: [route(HOST, target)] })
    const stopped = client.drain('a', { timeoutMs: 60_000 })
    first.kill('SIGKILL')
    await first.exited
    await stopped
    const published = client.publish({ version: 2, routes: [route(HOST, target)] })
    await using second = await startChild(directory.path, first.port)
    assert.equal((await ask(second.port, HOST)).body, 'app')
    await published
    assert.equal((await client.stats()).version, 2)
  })

  it('D-09 hands over to a newer process without a failed request, and ends with 0', async () => {
    await using directory = await makeDirectory()
    await using app = await startApp((_, response) => response.end('app'))
    const target = instance('a', app.port, process.getuid?.() ?? null)
    await using client = connectTo(directory.path)
    await using first = await startChild(directory.path, 0)
    await client.publish({ version: 1, routes: [route(HOST, target)] })
    const load = startLoad(first.port, 4)
    await load.hasSeen('app', 50)
    await using second = await startChild(directory.path, first.port)
    first.kill('SIGTERM')
    await client.publish({ version: 2, routes: [route(HOST, target)] })
    const [code] = await first.exited
    assert.equal(code, 0)
    const before = load.seen.get('app') ?? 0
    await load.hasSeen('app', before + 50)
    await load.stop()
    assert.equal(second.port, first.port)
  })
})
