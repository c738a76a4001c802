import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'

/** What the launcher could not do, with the way out: printed without a stack. */
export class InstallError extends Error {}

const COMMON_FLAGS = [
  // Nothing that we install needs its install scripts.
  '--ignore-scripts',
  '--no-audit',
  '--no-fund',
  '--no-update-notifier',
  '--engine-strict=false',
  // Offline must be told after seconds, not minutes.
  '--fetch-retries=1',
  '--fetch-retry-mintimeout=1000',
  '--loglevel=error',
]

const OFFLINE =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT/

/**
 * Runs npm in `directory` with its output kept back, and says what goes on when that takes longer than `patienceMs`.
 * @param {readonly [string, ...string[]]} npm the command that is npm
 * @param {string[]} args
 * @param {{ directory: string, what: string, patienceMs: number }} options
 */
export async function runNpm(npm, args, { directory, what, patienceMs }) {
  const startedAt = performance.now()
  let said = false
  const say = () => {
    said = true
    process.stderr.write(`Installing ${what} … `)
  }
  if (patienceMs === 0) say()
  const timer = patienceMs === 0 ? undefined : setTimeout(say, patienceMs)
  const [file, ...before] = npm
  try {
    await run(file, [...before, ...args, ...COMMON_FLAGS], directory)
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    if (said) process.stderr.write(`done in ${seconds} s\n`)
  } catch (error) {
    if (said) process.stderr.write('failed\n')
    throw explain(what, String(error instanceof Error ? error.message : error))
  } finally {
    clearTimeout(timer)
  }
}

/**
 * @param {string} file
 * @param {string[]} args
 * @param {string} cwd
 * @returns {Promise<void>}
 */
function run(file, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd,
      env: npmEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        // npm says what is wrong first, and then how it is used.
        output = (output + text).slice(0, 1500)
      })
    }
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(output.trim() || `npm ended with ${signal ?? code}`))
    })
  })
}

/** When npm started us, its own notes about that project are in the environment; another npm must not read them. */
function npmEnvironment() {
  const env = { ...process.env }
  for (const name of Object.keys(env)) {
    if (
      /^npm_(package|lifecycle|config_(local_prefix|global_prefix|node_gyp|user_agent))/.test(name)
    ) {
      delete env[name]
    }
  }
  return env
}

/**
 * @param {string} what
 * @param {string} output
 */
function explain(what, output) {
  const said = output.replaceAll(/^npm error +at .*\n/gm, '')
  return new InstallError(`${said}\n\nCannot install ${what}: ${fixFor(output)}`)
}

/** @param {string} output */
function fixFor(output) {
  if (/ENOENT/.test(output) && /spawn/.test(output)) {
    return 'npm is not installed. Install Node.js 20 or newer with npm, then run this again.'
  }
  if (/EACCES|EPERM|EROFS/.test(output)) {
    return 'this user may not write here. Run it as the owner of this directory, or as root.'
  }
  if (/ENOSPC/.test(output)) return 'the disk is full.'
  if (OFFLINE.test(output)) {
    return 'the npm registry cannot be reached. Check the network, or set npm_config_registry and https_proxy, then run this again.'
  }
  return 'npm failed as shown above.'
}
