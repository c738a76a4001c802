import type { RuntimeKind } from '../database/schema.ts'
import type { ExitFacts, ProcessRef } from '../spawner/spawner.ts'

/**
 * Runs instances of releases. An adapter asks the machine and keeps no records: what should run, and what did, is in
 * the database. Instances outlive the control plane and are adopted again by their `ref`.
 */
export interface Runtime {
  readonly kind: RuntimeKind
  /** Starts an instance; it is not yet healthy. Throws `runtime.failed_to_start` with the reason. */
  start(spec: InstanceSpec): Promise<InstanceRef>
  isAlive(ref: InstanceRef): Promise<boolean>
  /** Resolves when the instance is gone, with what is known of its end. */
  exited(ref: InstanceRef, signal?: AbortSignal): Promise<ExitFacts>
  /** Asks it to end, ends it after the grace period, and resolves when nothing of it is left. Gone already is fine. */
  stop(ref: InstanceRef, options: { graceMs: number }): Promise<void>
  /** True when the socket that listens on the instance's port is the instance's own, not a neighbour's. */
  ownsPort(spec: { ref: InstanceRef; accountSlot: number; port: number }): Promise<boolean>
  /** Runs the release command to its end, once. Its output goes to `log`. */
  runReleaseCommand(
    spec: InstanceSpec,
    options: { timeoutMs: number; signal: AbortSignal },
  ): Promise<ExitFacts>
}

export type InstanceRef = ProcessRef

/** The unit of an instance, so that it is found also when we did not live to record its start. */
export function unitOfInstance(instanceId: string): string {
  return `app-${instanceId}`
}

/** The unit of a deployment's release command. */
export function unitOfReleaseCommand(deploymentId: string): string {
  return `release-${deploymentId}`
}

export interface InstanceSpec {
  /** The instance's id; for a release command, the deployment's. */
  id: string
  projectId: string
  accountSlot: number
  releaseId: string
  /** Working directory inside the release, `.` for its root. */
  workingDirectory: string
  argv: readonly [string, ...string[]]
  /** The app's own variables; the runtime adds PORT, HOST, HOME, DATA_DIR and the like. */
  env: Readonly<Record<string, string>>
  port: number
  /** File name in the log directory. */
  log: string
}
