import { setTimeout as sleep } from 'node:timers/promises'

import { type Environment, loadConfig } from './config/config.ts'
import { OperationError } from './lib/errors.ts'
import { isSameProcessAlive } from './lib/process-identity.ts'
import { readForeground } from './platform/foreground-lock.ts'

const POLL_MS = 50
/** Longer than draining, stopping and killing take together. */
const DEADLINE_MS = 120_000

/**
 * `nanoscale stop`: asks the process of `nanoscale start` to end, as Ctrl-C would; with `--all` traffic and apps too.
 * Resolves when it is gone.
 */
export async function stop(env: Environment, { all }: { all: boolean }): Promise<void> {
  const { dataDirectory } = loadConfig(env)
  const running = await readForeground(dataDirectory)
  if (running === null) {
    throw new OperationError(
      'stop.not_running',
      `Cannot stop NanoScale on "${dataDirectory}": it is not running there${all ? '; to end apps that go on, start it and stop it with --all' : ''}`,
    )
  }
  ask(running.pid, all ? 'SIGUSR2' : 'SIGTERM')
  const deadline = Date.now() + DEADLINE_MS
  while (isSameProcessAlive(running)) {
    if (Date.now() > deadline) {
      throw new OperationError(
        'stop.timed_out',
        `Cannot stop NanoScale within ${DEADLINE_MS / 1000} s: process ${running.pid} still runs`,
      )
    }
    await sleep(POLL_MS)
  }
  process.stdout.write(
    all
      ? 'Stopped: nothing of NanoScale runs any more.\n'
      : 'The control plane stopped; traffic and apps go on.\n',
  )
}

function ask(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    throw new OperationError(
      'stop.not_permitted',
      `Cannot stop process ${pid}: it belongs to another user; run this as the user that started it, or as root`,
      { cause: error },
    )
  }
}
