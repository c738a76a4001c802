import { Agent, request as httpRequest } from 'node:http'

import { WebSocket } from 'ws'

export interface LoadOptions {
  port: number
  /** Of the app, sent as Host. */
  hostname: string
  requestsPerSecond: number
  /** One WebSocket, one slow upload and one streaming answer beside the requests; yes unless said otherwise. */
  longRunning?: boolean
}

export interface LoadFailure {
  /** Milliseconds since the start of the load. */
  at: number
  what: 'request' | 'websocket' | 'upload' | 'stream'
  reason: string
}

export interface LoadReport {
  completed: number
  failures: LoadFailure[]
  /** The longest time without one successful answer to a request, in milliseconds. */
  longestGapMs: number
  /** Bodies of `/` in the order of their first appearance. */
  bodies: string[]
  echoes: number
  /** Closes with 1001, after which the client connected again: no failure, as for a browser. */
  goingAway: number
  uploads: number
  streams: number
}

export interface Load extends AsyncDisposable {
  report: LoadReport
  /** Lets what is in flight end, and tells how it went. */
  stop(): Promise<LoadReport>
}

/** More than this in flight means that the app does not answer at all. */
const MAX_IN_FLIGHT = 1000
const REQUEST_TIMEOUT_MS = 10_000

/** Asks an app through the traffic port, at a steady rate over kept-alive connections, until it is stopped. */
export function startLoad(options: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 128 })
  const started = performance.now()
  const report: LoadReport = {
    completed: 0,
    failures: [],
    longestGapMs: 0,
    bodies: [],
    echoes: 0,
    goingAway: 0,
    uploads: 0,
    streams: 0,
  }
  const stopping = new AbortController()
  const inFlight = new Set<Promise<void>>()
  const context: Context = {
    ...options,
    agent,
    report,
    signal: stopping.signal,
    fail: (what, reason) => {
      // A load that fails throughout must not fill the memory.
      if (report.failures.length < 10_000) {
        report.failures.push({ at: Math.round(performance.now() - started), what, reason })
      }
    },
  }
  const track = (work: Promise<void>) => {
    inFlight.add(work)
    void work.finally(() => inFlight.delete(work))
  }

  let sent = 0
  let lastSuccess = started
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - started) / 1000) * options.requestsPerSecond)
    for (; sent < due; sent += 1) {
      if (inFlight.size > MAX_IN_FLIGHT) {
        context.fail('request', `${MAX_IN_FLIGHT} requests are in flight`)
        continue
      }
      track(
        askOnce(context).then((succeeded) => {
          if (!succeeded) return
          const now = performance.now()
          report.longestGapMs = Math.max(report.longestGapMs, now - lastSuccess)
          lastSuccess = now
        }),
      )
    }
  }, 5)
  if (options.longRunning ?? true) {
    track(keepEchoing(context))
    track(repeat(context, 'upload', uploadSlowly))
    track(repeat(context, 'stream', readStream))
  }

  const stop = async () => {
    clearInterval(timer)
    stopping.abort()
    await Promise.all(inFlight)
    agent.destroy()
    report.longestGapMs = Math.round(report.longestGapMs)
    return report
  }
  return {
    report,
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

interface Context extends LoadOptions {
  agent: Agent
  report: LoadReport
  signal: AbortSignal
  fail(what: LoadFailure['what'], reason: string): void
}

/** Failures in a form that an assertion prints well: reason, how often, when first. */
export function summarizeFailures(report: LoadReport): string[] {
  const groups = new Map<string, { count: number; first: number; last: number }>()
  for (const { at, what, reason } of report.failures) {
    const group = groups.get(`${what}: ${reason}`) ?? { count: 0, first: at, last: at }
    group.count += 1
    group.last = at
    groups.set(`${what}: ${reason}`, group)
  }
  return [...groups].map(
    ([reason, { count, first, last }]) => `${count} × ${reason} (${first} to ${last} ms)`,
  )
}

async function askOnce(context: Context): Promise<boolean> {
  try {
    const body = await ask(context, '/')
    context.report.completed += 1
    if (!context.report.bodies.includes(body)) context.report.bodies.push(body)
    return true
  } catch (error) {
    context.fail('request', reasonOf(error))
    return false
  }
}

async function repeat(
  context: Context,
  what: 'upload' | 'stream',
  action: (context: Context) => Promise<void>,
): Promise<void> {
  while (!context.signal.aborted) {
    try {
      await action(context)
      context.report[`${what}s`] += 1
    } catch (error) {
      context.fail(what, reasonOf(error))
      await pause(100)
    }
  }
}

const CHUNK = Buffer.alloc(16_384, 'x')
const UPLOAD_CHUNKS = 20

async function uploadSlowly(context: Context): Promise<void> {
  const body = await ask(context, '/slow-upload', async (write) => {
    for (let sent = 0; sent < UPLOAD_CHUNKS; sent += 1) {
      write(CHUNK)
      await pause(100)
    }
  })
  const expected = String(CHUNK.length * UPLOAD_CHUNKS)
  if (body !== expected) throw new Error(`the app received ${body} of ${expected} bytes`)
}

async function readStream(context: Context): Promise<void> {
  const body = await ask(context, '/stream?ms=2000')
  if (!body.endsWith('end\n')) throw new Error(`cut after ${body.length} bytes`)
}

function ask(
  context: Context,
  path: string,
  upload?: (write: (chunk: Buffer) => void) => Promise<void>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port: context.port,
      path,
      method: upload === undefined ? 'GET' : 'POST',
      headers: { host: context.hostname },
      agent: context.agent,
    })
    const timer = setTimeout(
      () => request.destroy(new Error('no whole answer in time')),
      REQUEST_TIMEOUT_MS,
    )
    const fail = (error: unknown) => {
      clearTimeout(timer)
      reject(error)
    }
    request.once('error', fail)
    request.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', fail)
      response.once('end', () => {
        clearTimeout(timer)
        const text = Buffer.concat(chunks).toString('utf8')
        if (response.statusCode === 200) resolve(text)
        else reject(new Error(`status ${response.statusCode}`))
      })
    })
    if (upload === undefined) request.end()
    else upload((chunk) => request.write(chunk)).then(() => request.end(), fail)
  })
}

/** One WebSocket at a time, which is opened again only after the server said that it goes away. */
async function keepEchoing(context: Context): Promise<void> {
  while (!context.signal.aborted) {
    try {
      await echoUntilClosed(context)
    } catch (error) {
      context.fail('websocket', reasonOf(error))
      await pause(100)
    }
  }
}

function echoUntilClosed(context: Context): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${context.port}/ws`, {
      headers: { host: context.hostname },
      handshakeTimeout: REQUEST_TIMEOUT_MS,
    })
    let number = 0
    let answered = Date.now()
    const timer = setInterval(() => {
      if (socket.readyState !== WebSocket.OPEN) return
      if (context.signal.aborted) return socket.close(1000)
      if (Date.now() - answered > REQUEST_TIMEOUT_MS) {
        reject(new Error('no echo in time'))
        return socket.terminate()
      }
      number += 1
      socket.send(String(number))
    }, 50)
    socket.on('open', () => {
      answered = Date.now()
    })
    socket.on('message', () => {
      answered = Date.now()
      context.report.echoes += 1
    })
    socket.on('error', reject)
    socket.on('close', (code) => {
      clearInterval(timer)
      if (code === 1001) context.report.goingAway += 1
      if (code === 1001 || context.signal.aborted) resolve()
      else reject(new Error(`closed with ${code}`))
    })
  })
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
