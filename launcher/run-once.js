import { spawn } from 'node:child_process'

/**
 * Runs a command in our place: same terminal, signals passed on, same end.
 * @param {string[]} argv
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<void>}
 */
export function runOnce(argv, env) {
  const [file = '', ...args] = argv
  return new Promise((resolve) => {
    const child = spawn(file, args, { env, stdio: 'inherit' })
    const forward = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal)
    process.on('SIGTERM', forward)
    process.on('SIGHUP', forward)
    // A terminal sends Ctrl-C to both of us already.
    process.on('SIGINT', (signal) => process.stdin.isTTY || forward(signal))
    child.once('error', (error) => {
      process.stderr.write(`Cannot run "${file}": ${error.message}\n`)
      process.exitCode = 127
      resolve()
    })
    child.once('exit', (code, signal) => {
      endLike(code, signal)
      resolve()
    })
  })
}

/**
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 */
export function endLike(code, signal) {
  if (signal === null) {
    process.exitCode = code ?? 1
    return
  }
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
}
