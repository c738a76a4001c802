import { join } from 'node:path'

import { createApp } from './app.ts'
import { type Environment, loadConfig } from './config/config.ts'
import { createHttpServers } from './http/create-http-servers.ts'
import { OperationError } from './lib/errors.ts'
import { acquireLock } from './lib/lock-file.ts'
import { createLogger } from './lib/logger.ts'
import { createLineWriter, outliveReaders } from './platform/process-output.ts'

/** Deployments and requests get this long to come to a point where they can be taken up again. */
const STOP_DEADLINE_MS = 10_000

/** The control plane: API and worker. One per data directory; apps do not notice when it ends. */
export async function runControl(env: Environment): Promise<void> {
  outliveReaders()
  // The terminal's end is not the control plane's end; who started it says when.
  process.on('SIGHUP', () => {})
  const asked = untilAskedToEnd()
  const config = loadConfig(env)
  await using _lock = takeControlLock(config.dataDirectory)
  const write = createLineWriter()
  await using app = await createApp({
    config,
    createLog: (redact) => createLogger({ level: config.logLevel, write, redact }),
  })
  await using _servers = await createHttpServers(app)
  await asked
  setTimeout(() => process.exit(1), STOP_DEADLINE_MS).unref()
}

function takeControlLock(dataDirectory: string): AsyncDisposable {
  const path = join(dataDirectory, 'run', 'control.lock')
  const lock = acquireLock(path)
  if (lock !== null) return lock
  throw new OperationError(
    'control.already_running',
    `Cannot start the control plane: another process holds "${path}"`,
  )
}

function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}
