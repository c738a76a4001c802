import { OperationError, messageOf } from '../../lib/errors.ts'
import { listeningUid } from '../../lib/socket-owner.ts'
import { createUnitListens } from '../../lib/unit-sockets.ts'
import { uidOf } from '../../spawner/accounts.ts'
import type {
  ExitFacts,
  Limits,
  ProcessRef,
  ProjectAccount,
  Spawner,
} from '../../spawner/spawner.ts'
import { unitOfInstance, unitOfReleaseCommand } from '../runtime.ts'
import type { InstanceSpec, Runtime } from '../runtime.ts'
import { appEnvironment } from './app-environment.ts'

/** Of one project, in all its instances: threads count as processes, and Node alone has about a dozen. */
const DEFAULT_LIMITS: Limits = { maxProcesses: 1024, maxOpenFiles: 65_536 }
const RELEASE_COMMAND_GRACE_MS = 5000

interface ProcessRuntimeDeps {
  spawner: Spawner
  /** Directory with node and npm, readable by all accounts. */
  toolchainPath: string
  limits?: Limits
}

/** Runs instances as processes of this machine, each project under an account of its own. */
export function createProcessRuntime(deps: ProcessRuntimeDeps): Runtime {
  const { spawner } = deps
  const unitListens = createUnitListens()
  return {
    kind: 'process',
    start: (spec) => startUnit(deps, spec, unitOfInstance(spec.id)),
    isAlive: (ref) => spawner.isAlive(ref),
    exited: (ref, signal) => spawner.exited(ref, signal),
    stop: (ref, options) => spawner.stop(ref, options),
    async ownsPort({ ref, accountSlot, port }) {
      const base = await spawner.accountBase()
      const uid = uidOf({ kind: 'project', slot: accountSlot }, base)
      if ((await listeningUid(port)) !== uid) return false
      return base !== null || (await unitListens(ref.unit, port))
    },
    runReleaseCommand: (spec, options) => runReleaseCommand(deps, spec, options),
  }
}

async function startUnit(
  deps: ProcessRuntimeDeps,
  spec: InstanceSpec,
  unit: string,
): Promise<ProcessRef> {
  const account: ProjectAccount = { kind: 'project', slot: spec.accountSlot }
  try {
    const dataPath = await deps.spawner.makeDirectory({ area: 'apps', id: spec.projectId }, account)
    return await deps.spawner.start({
      unit,
      account,
      app: spec.projectId,
      argv: spec.argv,
      env: appEnvironment({
        own: spec.env,
        toolchainPath: deps.toolchainPath,
        dataPath,
        userName: `app-${spec.accountSlot}`,
        port: spec.port,
      }),
      directory: { area: 'releases', id: spec.releaseId, path: spec.workingDirectory },
      limits: deps.limits ?? DEFAULT_LIMITS,
      log: spec.log,
    })
  } catch (error) {
    throw new OperationError(
      'runtime.failed_to_start',
      `Cannot start "${spec.argv.join(' ')}": ${messageOf(error)}`,
      { cause: error },
    )
  }
}

/**
 * Started like an instance, with its output in a file, so that it lives on when the spawner ends: a migration must not
 * be killed half way. Throws `runtime.release_command_timed_out`; rejects with the signal's reason when that aborts.
 */
async function runReleaseCommand(
  deps: ProcessRuntimeDeps,
  spec: InstanceSpec,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<ExitFacts> {
  options.signal.throwIfAborted()
  const ref = await startUnit(deps, spec, unitOfReleaseCommand(spec.id))
  const deadline = AbortSignal.timeout(options.timeoutMs)
  try {
    const facts = await deps.spawner.exited(ref, AbortSignal.any([options.signal, deadline]))
    await deps.spawner.stop(ref, { graceMs: 0 })
    return facts
  } catch (error) {
    await deps.spawner.stop(ref, { graceMs: RELEASE_COMMAND_GRACE_MS })
    options.signal.throwIfAborted()
    if (!deadline.aborted) throw error
    throw new OperationError(
      'runtime.release_command_timed_out',
      `Cannot finish the release command "${spec.argv.join(' ')}" within ${options.timeoutMs / 1000} s`,
      { cause: error },
    )
  }
}
