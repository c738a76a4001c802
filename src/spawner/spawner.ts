import type { CommandResult } from '../lib/run-command.ts'

/**
 * The narrow door to what needs privilege: processes under other uids and the files that they own. Started as root,
 * the spawner is a process of its own and the only one that stays root; everything that faces the network reaches it
 * through `spawner-client.ts`. It knows accounts and areas, never a uid or a path that the caller chose.
 */
export interface Spawner {
  /** Starts a process that outlives us. Its output goes to a log file, never to a pipe of ours: a pipe would kill it with us. */
  start(spec: ProcessSpec): Promise<ProcessRef>
  /** Runs a short command to its end and gives its output back. Ends everything that it left behind in `unit`. */
  run(spec: RunSpec, signal?: AbortSignal): Promise<CommandResult>
  /** Resolves when the process is gone, also when it was started by an earlier spawner (then with unknown facts). */
  exited(process: ProcessRef, signal?: AbortSignal): Promise<ExitFacts>
  isAlive(process: ProcessRef): Promise<boolean>
  /** SIGTERM to the process group, SIGKILL to all of the unit after `graceMs`. Resolves when nothing of the unit is left. */
  stop(process: ProcessRef, options: { graceMs: number }): Promise<void>
  /** Kills everything that runs under a build account: daemonised children too, whatever group or session they chose. */
  endAccount(account: BuildAccount): Promise<void>
  /** Makes a directory of ours if it is missing, and returns its absolute path. */
  makeDirectory(place: Place, owner: Account): Promise<string>
  /** Bytes on disk below a place, counted as its owner. */
  usage(place: Place): Promise<number>
  /** Removes a place with all that is in it, as its owner; a missing one is fine. */
  remove(place: Place): Promise<void>
  /**
   * Makes an immutable release of what a build left in `from`: refuses symbolic links that leave the tree, devices and
   * sockets (`release.unsafe_tree`, naming the path), then moves it to `releases/<releaseId>`, owned by root, readable
   * by the reader alone, writable by nobody.
   */
  sealRelease(options: {
    build: string
    /** Relative to the build's place; inside it. */
    path: string
    release: string
    reader: ProjectAccount | 'platform'
  }): Promise<{ bytes: number; path: string }>
  removeLog(log: string): Promise<void>
  /** What separates accounts from each other here, for the doctor and for admission. */
  isolation(): Promise<Isolation>
  /** Where the uids of this data directory's accounts begin (`uidOf`); null when accounts are not users of the machine. */
  accountBase(): Promise<number | null>
}

/** `users`: own uids (root). `namespaces`: unprivileged user namespaces. `none`: everything runs as one user. */
export type Isolation = 'users' | 'namespaces' | 'none'

/** One of a pool; exclusive to one build while it lasts. */
export interface BuildAccount {
  kind: 'build'
  slot: number
}

/** The app of one project, in all its releases; `slot` is `projects.account_slot`. */
export interface ProjectAccount {
  kind: 'project'
  slot: number
}

export type Account = BuildAccount | ProjectAccount

/**
 * A directory of the data directory. `id` is ours: `[a-z0-9-]{1,64}`.
 * `builds`: one build's workspace. `mirrors`: a bare git mirror, entered only by a process that names it.
 * `releases`: sealed. `apps`: what a project keeps across releases (its `DATA_DIR`).
 */
export interface Place {
  area: 'builds' | 'mirrors' | 'releases' | 'apps'
  id: string
}

export interface Limits {
  /** Processes and threads of the account. */
  maxProcesses: number
  maxOpenFiles: number
  /** Largest single file that it may write, in bytes. */
  maxFileBytes?: number
  /** Memory of each process that is its own (heap, anonymous mappings, stacks of threads), in bytes. */
  maxDataBytes?: number
}

interface CommandSpec {
  /** Names all that descends from this start (in its environment as NANOSCALE_UNIT): what `stop` ends. */
  unit: string
  account: Account
  /** Lets the process read and write this mirror too. */
  mirror?: string
  /** Lets the process read and write what this project keeps (area `apps`) too. */
  app?: string
  argv: readonly [string, ...string[]]
  /** The whole environment; HOME, USER, LOGNAME and PATH are the caller's to give. */
  env: Readonly<Record<string, string>>
  /** Working directory: a place and a relative path inside it. */
  directory: Place & { path?: string }
  limits: Limits
}

export interface ProcessSpec extends CommandSpec {
  /** File name in the log directory, created if missing and appended to; readable by the platform alone. */
  log: string
}

export interface RunSpec extends CommandSpec {
  stdin?: string
  timeoutMs: number
  maxOutputBytes?: number
}

/** Names one process of one boot: a pid alone may be somebody else's by now. */
export interface ProcessRef {
  unit: string
  pid: number
  /** Field 22 of `/proc/<pid>/stat`. */
  startTicks: string
  bootId: string
}

export interface ExitFacts {
  /** Both null when nobody saw it end. */
  exitCode: number | null
  exitSignal: string | null
}
