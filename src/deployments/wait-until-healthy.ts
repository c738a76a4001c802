import { request } from 'node:http'

import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { InstanceRef, Runtime } from '../runtimes/runtime.ts'
import type { ExitFacts } from '../spawner/spawner.ts'

const SHORTEST_POLL_MS = 10
const LONGEST_POLL_MS = 250
/** With less time left no more is asked: being cut off would be no news about the app. */
const LEAST_ANSWER_MS = 50
/** One answer may take this long, within the deadline of all. */
const ANSWER_TIMEOUT_MS = 10_000

interface HealthTarget {
  ref: InstanceRef
  accountSlot: number
  port: number
  path: string
  /** The name that the app is reached by, for its Host header. */
  hostname: string
  timeoutMs: number
}

export type Health =
  | { kind: 'healthy'; status: number }
  | { kind: 'exited'; exit: ExitFacts; lastAnswer: string }
  | { kind: 'timed_out'; lastAnswer: string }

type Answer = { kind: 'ok'; status: number } | { kind: 'not_yet'; reason: string }

/**
 * Polls an instance until it answers 2xx or 3xx on its own port, ends or the deadline passes. Somebody else's socket
 * on that port answers for nobody.
 */
export async function waitUntilHealthy(
  deps: { clock: Clock; runtime: Pick<Runtime, 'ownsPort' | 'exited'> },
  target: HealthTarget,
  signal: AbortSignal,
): Promise<Health> {
  const stopWatching = new AbortController()
  const anyEnd = AbortSignal.any([signal, stopWatching.signal])
  let exit: ExitFacts | undefined
  const exited = deps.runtime.exited(target.ref, anyEnd).then(
    (facts) => void (exit = facts),
    // Whether it lives is then asked by the answers alone.
    () => new Promise<void>(() => {}),
  )
  const startedAt = deps.clock.now()
  const deadline = startedAt + target.timeoutMs
  let lastAnswer = 'nothing listened on its port'
  try {
    for (;;) {
      signal.throwIfAborted()
      const remaining = deadline - deps.clock.now()
      const answer = await Promise.race([ask(deps, target, remaining, anyEnd), exited])
      if (exit !== undefined) return { kind: 'exited', exit, lastAnswer }
      if (answer?.kind === 'ok') return { kind: 'healthy', status: answer.status }
      if (answer !== undefined) lastAnswer = answer.reason
      const pause = pauseAfter(deps.clock.now() - startedAt)
      if (deps.clock.now() + pause + LEAST_ANSWER_MS >= deadline)
        return { kind: 'timed_out', lastAnswer }
      await Promise.race([deps.clock.sleep(pause, anyEnd), exited])
      if (exit !== undefined) return { kind: 'exited', exit, lastAnswer }
    }
  } finally {
    stopWatching.abort()
  }
}

/** A version goes live at most an eighth of its own start later than it could. */
function pauseAfter(waitedMs: number): number {
  return Math.min(Math.max(waitedMs / 8, SHORTEST_POLL_MS), LONGEST_POLL_MS)
}

async function ask(
  deps: { runtime: Pick<Runtime, 'ownsPort'> },
  target: HealthTarget,
  remainingMs: number,
  signal: AbortSignal,
): Promise<Answer> {
  if (!(await deps.runtime.ownsPort(target))) {
    return { kind: 'not_yet', reason: 'nothing of the app listened on its port' }
  }
  try {
    const timeoutMs = Math.min(Math.max(remainingMs, 1), ANSWER_TIMEOUT_MS)
    const status = await readStatus(target, timeoutMs, signal)
    if (status >= 200 && status < 400) return { kind: 'ok', status }
    return { kind: 'not_yet', reason: `it answered ${status}` }
  } catch (error) {
    return { kind: 'not_yet', reason: `it did not answer: ${messageOf(error)}` }
  }
}

function readStatus(target: HealthTarget, timeoutMs: number, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request({
      host: '127.0.0.1',
      port: target.port,
      path: target.path,
      method: 'GET',
      agent: false,
      headers: { host: target.hostname, 'user-agent': 'NanoScale health check' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    })
    asking.once('error', reject)
    asking.once('response', (response) => {
      resolve(response.statusCode ?? 0)
      // The body is of no interest, and may never end.
      response.on('error', () => {})
      response.destroy()
    })
    asking.end()
  })
}
