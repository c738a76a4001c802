import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { ensureDependencies } from './dependencies.js'
import { keepRunning } from './keep-running.js'
import { InstallError } from './npm.js'
import { runOnce } from './run-once.js'
import { ensureToolchain } from './toolchain.js'

const CHECKOUT = fileURLToPath(new URL('..', import.meta.url))

/** The foreground process and the command line hold little: a small heap keeps them small. */
const MEMORY_FLAGS = ['--max-semi-space-size=1', '--max-old-space-size=128']

/**
 * The launcher: plain JavaScript for any Node from 20 on. It brings Node 26 and the dependencies, then runs the program
 * (or, after `exec`, a development command) with them. Ends this process with the exit code of what it ran.
 * @param {string[]} args
 */
export async function launch(args) {
  try {
    refuseOtherSystems()
    if (args[0] === 'exec') await runDevelopmentCommand(args.slice(1))
    else await runProgram(args)
  } catch (error) {
    if (!(error instanceof InstallError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exitCode = 1
  }
}

function refuseOtherSystems() {
  if (process.platform === 'linux' || process.platform === 'darwin') return
  throw new InstallError(
    `NanoScale runs on Linux, and on macOS for development; this is ${process.platform}. On Windows use WSL 2.`,
  )
}

/** @param {string[]} args */
async function runProgram(args) {
  const { node, npmCli } = await ensureToolchain(CHECKOUT)
  await ensureDependencies(CHECKOUT, { node, npmCli, mode: 'production' })
  const argv = [node, ...MEMORY_FLAGS, join(CHECKOUT, 'src', 'main.ts'), ...args]
  const env = { NODE_COMPILE_CACHE: join(CHECKOUT, '.cache', 'compile'), ...process.env }
  if (args[0] === 'start') await keepRunning(argv, env)
  else await runOnce(argv, env)
}

/** @param {string[]} command */
async function runDevelopmentCommand(command) {
  const [file, ...args] = command
  if (file === undefined) {
    throw new InstallError('Usage: nanoscale exec <command> [arguments]')
  }
  const { node, npmCli, directories } = await ensureToolchain(CHECKOUT)
  await ensureDependencies(CHECKOUT, { node, npmCli, mode: 'development' })
  const own = [join(CHECKOUT, 'node_modules', '.bin'), ...directories]
  const path = [...own, process.env['PATH'] ?? ''].join(delimiter)
  await runOnce([file, ...args], { ...process.env, PATH: path })
}
