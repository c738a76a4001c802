import type { ChildProcess } from 'node:child_process'

import type { Clock } from '../lib/clock.ts'
import { collectOutput } from '../lib/collect-output.ts'
import { OperationError } from '../lib/errors.ts'
import type { CommandResult } from '../lib/run-command.ts'
import type { AccountRange } from './accounts.ts'
import type { RunningUnits } from './running-units.ts'
import type { SpawnCommand } from './spawn-command.ts'
import type { RunSpec } from './spawner.ts'
import { endUnit } from './stop-unit.ts'

const DEFAULT_OUTPUT_BYTES = 1_048_576
const PIPES_DEADLINE_MS = 2000

/**
 * Runs a command to its end and gives its output back; then ends what it left behind, which may also hold its pipes
 * open. Throws `command.timed_out`; rejects with the signal's reason when that aborts.
 */
export async function runUnit(
  deps: { clock: Clock; accounts: AccountRange | null; units: RunningUnits },
  spec: RunSpec,
  command: SpawnCommand,
  signal?: AbortSignal,
): Promise<CommandResult> {
  signal?.throwIfAborted()
  const { ref, child, exited } = await deps.units.launch(spec.unit, command, [
    'pipe',
    'pipe',
    'pipe',
  ])
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const maxBytes = spec.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES
  const stdout = collectOutput(child.stdout, maxBytes)
  const stderr = collectOutput(child.stderr, maxBytes)
  feed(child, spec.stdin ?? '')
  const deadline = AbortSignal.timeout(spec.timeoutMs)
  const ending = AbortSignal.any(signal === undefined ? [deadline] : [deadline, signal])
  await Promise.race([exited, whenAborted(ending)])
  const failure = signal?.aborted === true ? 'aborted' : deadline.aborted ? 'timed_out' : null
  await endUnit(deps, spec.unit, ref)
  const facts = await exited
  await Promise.race([closed, deps.clock.sleep(PIPES_DEADLINE_MS)])
  // Held open by what left the unit on purpose; it is ended with its account.
  child.stdout?.destroy()
  child.stderr?.destroy()
  if (failure === 'aborted') signal?.throwIfAborted()
  if (failure === 'timed_out') {
    throw new OperationError(
      'command.timed_out',
      `Cannot finish "${spec.argv[0]}" within ${spec.timeoutMs / 1000} s`,
    )
  }
  return {
    ...facts,
    stdout: stdout.text(),
    stderr: stderr.text(),
    truncated: stdout.truncated() || stderr.truncated(),
  }
}

function feed(child: ChildProcess, input: string): void {
  // A command may exit without reading its input; that is no failure of ours.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
