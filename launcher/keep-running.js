import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

import { endLike } from './run-once.js'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** One that ran this long starts the back-off anew. */
const SETTLED_AFTER_MS = 60_000

/**
 * Runs the foreground process of `nanoscale start`, and again when it dies of something that nobody asked for. It says
 * `ready` over the IPC channel once it is up, and `ending` before it ends on purpose; one that never was ready is not
 * repeated, because its message is what the person must read. One that says `again` has filled the compile cache and
 * wants to start from it (see `src/platform/start-from-cache.ts`).
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env
 */
export async function keepRunning(argv, env) {
  let pauseMs = FIRST_PAUSE_MS
  let everReady = false
  let environment = env
  for (;;) {
    const startedAt = Date.now()
    const { code, signal, ready, ending, again } = await runForeground(argv, environment)
    if (again && !ending) {
      environment = { ...env, COMPILE_CACHE_WAS_FILLED: '1' }
      continue
    }
    everReady ||= ready
    if (ending || code === 0 || !everReady) return endLike(code, signal)
    if (Date.now() - startedAt > SETTLED_AFTER_MS) pauseMs = FIRST_PAUSE_MS
    process.stderr.write(
      `NanoScale's foreground process ended (${signal ?? `exit code ${code}`}); apps go on. Starting it again …\n`,
    )
    await sleep(pauseMs)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

/**
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null, ready: boolean, ending: boolean, again: boolean }>}
 */
function runForeground(argv, env) {
  const [file = '', ...args] = argv
  return new Promise((resolve, reject) => {
    // A session of its own: Ctrl-C then reaches it once, through us, and a closing terminal does not take it along.
    const child = spawn(file, args, {
      env,
      detached: true,
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    })
    let ready = false
    let ending = false
    let again = false
    child.on('message', (message) => {
      ready ||= message === 'ready'
      ending ||= message === 'ending'
      again ||= message === 'again'
    })
    const forward = (/** @type {NodeJS.Signals} */ signal) => {
      // Until it is ready, nobody there listens for a graceful end: what the signal does by default is right.
      ending = true
      child.kill(signal)
    }
    const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])
    for (const signal of signals) process.on(signal, forward)
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      for (const name of signals) process.removeListener(name, forward)
      resolve({ code, signal, ready, ending, again })
    })
  })
}
