import { spawn } from 'node:child_process'

import { OperationError } from './errors.ts'

/** An external command as data: nothing of it ever meets a shell. */
export interface Command {
  argv: readonly [string, ...string[]]
  cwd?: string
  /** The whole environment of the command; nothing is inherited. */
  env?: Readonly<Record<string, string>>
}

export interface CommandResult {
  /** Null when a signal ended it. */
  exitCode: number | null
  exitSignal: string | null
  stdout: string
  stderr: string
  /** True when an output was cut at `maxOutputBytes`. */
  truncated: boolean
}

interface RunOptions {
  stdin?: string
  timeoutMs: number
  /** Cap on each of the two outputs; what comes after is dropped. */
  maxOutputBytes?: number
  signal?: AbortSignal
}

/**
 * Runs a short command of the platform's own to its end (for example `git --version`), as the current user.
 * A non-zero exit is a result, not an error. Throws `command.not_found`, `command.failed_to_start` and
 * `command.timed_out`; rejects with the signal's reason when that aborts.
 */
export function runCommand(command: Command, options: RunOptions): Promise<CommandResult> {
  options.signal?.throwIfAborted()
  const [file, ...args] = command.argv
  const child = spawn(file, args, {
    cwd: command.cwd,
    env: command.env ?? {},
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const stdout = collect(child.stdout, options.maxOutputBytes ?? 1_048_576)
  const stderr = collect(child.stderr, options.maxOutputBytes ?? 1_048_576)
  // A command may exit without reading its input; that is no failure of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  return new Promise((resolve, reject) => {
    let failure: unknown
    const end = (reason: unknown) => {
      failure ??= reason
      child.kill('SIGKILL')
    }
    const timer = setTimeout(() => {
      end(
        new OperationError(
          'command.timed_out',
          `Cannot finish "${file}" within ${options.timeoutMs / 1000} s`,
        ),
      )
    }, options.timeoutMs)
    const onAbort = () => end(options.signal?.reason)
    options.signal?.addEventListener('abort', onAbort, { once: true })
    const settle = () => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', onAbort)
    }
    child.once('error', (error: NodeJS.ErrnoException) => {
      settle()
      reject(failure ?? startFailure(file, error))
    })
    child.once('close', (exitCode, exitSignal) => {
      settle()
      if (failure !== undefined) return reject(failure)
      const truncated = stdout.truncated() || stderr.truncated()
      resolve({ exitCode, exitSignal, stdout: stdout.text(), stderr: stderr.text(), truncated })
    })
  })
}

function startFailure(file: string, error: NodeJS.ErrnoException): OperationError {
  return error.code === 'ENOENT'
    ? new OperationError('command.not_found', `Cannot run "${file}": it is not installed`, {
        cause: error,
      })
    : new OperationError('command.failed_to_start', `Cannot run "${file}": ${error.message}`, {
        cause: error,
      })
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number) {
  const chunks: Buffer[] = []
  let size = 0
  let cut = false
  stream.on('data', (chunk: Buffer) => {
    const room = maxBytes - size
    if (chunk.length > room) cut = true
    if (room <= 0) return
    chunks.push(chunk.subarray(0, room))
    size += Math.min(chunk.length, room)
  })
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    truncated: () => cut,
  }
}
