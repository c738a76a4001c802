import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

import { collectOutput } from './collect-output.ts'
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

const DEFAULT_OUTPUT_BYTES = 1_048_576
/** How long outputs that others hold open are still read after the command itself has ended. */
const PIPES_GRACE_MS = 500

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
 * `command.timed_out`; rejects with the signal's reason when that aborts. What it started in the background ends with
 * it, and cannot keep the caller waiting by holding its outputs open.
 */
export async function runCommand(command: Command, options: RunOptions): Promise<CommandResult> {
  options.signal?.throwIfAborted()
  const [file, ...args] = command.argv
  const child = spawn(file, args, {
    cwd: command.cwd,
    env: command.env ?? {},
    stdio: ['pipe', 'pipe', 'pipe'],
    // A process group of its own, which can be ended as a whole.
    detached: true,
  })
  const maxBytes = options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES
  const stdout = collectOutput(child.stdout, maxBytes)
  const stderr = collectOutput(child.stderr, maxBytes)
  // A command may exit without reading its input; that is no failure of ours.
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const { exitCode, exitSignal } = await whenClosed(child, file, options)
  const truncated = stdout.truncated() || stderr.truncated()
  return { exitCode, exitSignal, stdout: stdout.text(), stderr: stderr.text(), truncated }
}

/** How the command ended, once its outputs are read or nothing more is to be waited for. */
function whenClosed(
  child: ChildProcess,
  file: string,
  options: RunOptions,
): Promise<Pick<CommandResult, 'exitCode' | 'exitSignal'>> {
  const { promise, resolve, reject } =
    Promise.withResolvers<Pick<CommandResult, 'exitCode' | 'exitSignal'>>()
  let failure: { reason: unknown } | undefined
  let grace: NodeJS.Timeout | undefined
  // Makes `close` come: whoever left the group may hold the outputs open for as long as it likes.
  const letGo = () => {
    grace ??= setTimeout(() => {
      endGroup(child)
      child.stdout?.destroy()
      child.stderr?.destroy()
    }, PIPES_GRACE_MS)
  }
  const end = (reason: unknown) => {
    failure ??= { reason }
    endGroup(child)
  }
  const timer = setTimeout(() => {
    const sentence = `Cannot finish "${file}" within ${options.timeoutMs / 1000} s`
    end(new OperationError('command.timed_out', sentence))
  }, options.timeoutMs)
  const onAbort = () => end(options.signal?.reason)
  options.signal?.addEventListener('abort', onAbort, { once: true })
  const settle = () => {
    clearTimeout(timer)
    clearTimeout(grace)
    options.signal?.removeEventListener('abort', onAbort)
  }
  child.once('error', (error: NodeJS.ErrnoException) => {
    settle()
    reject(startFailure(file, error))
  })
  child.once('exit', letGo)
  child.once('close', (exitCode, exitSignal) => {
    settle()
    if (failure === undefined) resolve({ exitCode, exitSignal })
    // oxlint-disable-next-line prefer-promise-reject-errors -- the signal's reason, whatever it is
    else reject(failure.reason)
  })
  return promise
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
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
