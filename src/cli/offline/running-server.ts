import { existsSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'

import { OperationError, systemErrorCode } from '../../lib/errors.ts'
import { acquireLock } from '../../lib/lock-file.ts'
import { becomeOwnerOf } from './become-owner.ts'

/** The control plane holds it for its life; an offline command that changes records holds it meanwhile. */
const LOCK = 'control.lock'

/** True when something accepts connections on a socket of the data directory. */
export function answers(
  dataDirectory: string,
  socket: 'operator.sock' | 'traffic.sock',
): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(join(dataDirectory, 'run', socket))
    const end = (isUp: boolean) => {
      connection.destroy()
      resolve(isUp)
    }
    connection.setTimeout(2000, () => end(false))
    connection.once('connect', () => end(true)).once('error', () => end(false))
  })
}

/**
 * Keeps the control plane from starting while `work` changes what is its own. Throws `server.running` when it runs
 * without answering, for example because it is starting.
 */
export async function whileStopped<Result>(
  dataDirectory: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const directory = join(dataDirectory, 'run')
  // Directories made here, perhaps by root, would not be the server's own.
  if (!existsSync(directory)) {
    throw new OperationError(
      'server.never_started',
      `Cannot find NanoScale in "${dataDirectory}": it was never started there. Run: nanoscale start`,
    )
  }
  await using lock = lockAsOwnerOf(directory)
  if (lock === null) {
    throw new OperationError(
      'server.running',
      'Cannot do this now: the server is running, or another command is at work. Try again in a moment',
    )
  }
  return await work()
}

function lockAsOwnerOf(directory: string): AsyncDisposable | null {
  using _owner = becomeOwnerOf(directory)
  return acquireLock(join(directory, LOCK))
}

/** Asks the running server over the operator's socket. Yields the body in pieces; throws what the server refused. */
export async function* askServer(
  dataDirectory: string,
  method: 'GET' | 'POST',
  path: string,
): AsyncGenerator<string> {
  const response = await send(dataDirectory, method, path)
  response.setEncoding('utf8')
  const status = response.statusCode ?? 0
  if (status < 400) {
    for await (const chunk of response) yield String(chunk)
    return
  }
  let body = ''
  for await (const chunk of response) body += String(chunk)
  throw refusalOf(status, body)
}

function send(dataDirectory: string, method: string, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({
      socketPath: join(dataDirectory, 'run', 'operator.sock'),
      method,
      path,
      headers: {
        host: 'localhost',
        'content-length': '0',
        accept: 'application/json, text/event-stream',
      },
      // Between two pieces of the answer, not for all of it.
      timeout: 120_000,
    })
    call.once('response', resolve)
    call.once('timeout', () => call.destroy(new Error('no answer within 120 s')))
    call.once('error', (cause) => {
      const reason = systemErrorCode(cause) ?? cause.message
      reject(
        new OperationError('server.unreachable', `Cannot ask the server: ${reason}`, { cause }),
      )
    })
    call.end()
  })
}

function refusalOf(status: number, body: string): OperationError {
  try {
    const { error, code } = JSON.parse(body) as { error?: string; code?: string }
    if (error !== undefined) return new OperationError(code ?? 'server.refused', error)
  } catch {
    // Not an answer of ours; the status says what there is to say.
  }
  return new OperationError('server.refused', `Cannot do this: the server answered ${status}`)
}
