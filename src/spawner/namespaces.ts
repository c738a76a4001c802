import { spawnSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { homedir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'

import { currentGid, currentUid } from './accounts.ts'
import { findTool } from './host-tools.ts'
import type { HostTools } from './host-tools.ts'
import type { SpawnCommand } from './spawn-command.ts'
import type { Isolation } from './spawner.ts'

/** The programs that make namespaces; not on every machine. */
interface NamespaceTools {
  unshare: string
  mount: string
  sh: string
}

/** What a unit sees of the file system; everything that is not named is there and read-only. */
export interface MountPlan {
  mount: string
  /** Directories that are replaced by empty ones. None lies in another. */
  hidden: readonly string[]
  /** The same, but the unit may write there; gone with it. */
  scratch: readonly string[]
  /** Directories that stay although they lie in hidden ones. */
  kept: readonly KeptDirectory[]
}

export interface KeptDirectory {
  path: string
  writable: boolean
  /** Left out when it is missing. */
  optional?: boolean
}

const TRIAL_TIMEOUT_MS = 10_000
const UNSHARE_FLAGS = [
  '--user',
  '--map-root-user',
  '--mount',
  '--pid',
  '--ipc',
  '--fork',
  '--kill-child',
]
const PROGRAM = join(import.meta.dirname, 'enter-namespaces.js')

/**
 * The first process of the unit's pid namespace. As such it ignores what it has no handler for, collects orphans, and
 * when it ends the kernel kills all the others. Node collects no orphans and would take 40 MB per app. The text is
 * fixed; the command comes as separate words, which no shell reads. What it says of a signal is not the app's output.
 */
const INIT = 'exec 3>&2 2>/dev/null; (exec "$@" 2>&3 3>&-); exit $?'

const SCRATCH = ['/tmp', '/var/tmp', '/dev/shm']
/** Sockets of the user's session, of databases and of container engines. */
const RUNTIME_DIRECTORY = '/run'
/** A home directory that is, holds or lies in one of these is a system account's, and no home. */
const SYSTEM_DIRECTORIES = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib64',
  '/etc',
  '/dev',
  '/proc',
  '/sys',
]

export interface Namespaces {
  /** Put before a command, inside: makes it the user that it is outside, without any power over the mounts. */
  identity: readonly [string, ...string[]]
  /** Puts a command (which contains `identity`) into namespaces of its own, where it sees `kept` and no other place. */
  wrap(
    command: SpawnCommand,
    options: { kept: readonly KeptDirectory[]; unit: string; account: string },
  ): SpawnCommand
}

/** Tries once whether this user may make namespaces here; null when not. */
export function findNamespaces(
  tools: Pick<HostTools, 'setpriv' | 'env'>,
  dataDirectory: string,
): Namespaces | null {
  const own = findNamespaceTools()
  if (own === null || currentUid() === 0) return null
  const namespaces: Namespaces = {
    identity: identityWrapper(own, tools.env),
    wrap: (command, { kept, ...options }) =>
      namespaceCommand(own, command, {
        ...options,
        plan: planMounts(own, dataDirectory, kept),
        setpriv: tools.setpriv,
      }),
  }
  const trial: SpawnCommand = { argv: [...namespaces.identity, tools.env], env: {}, user: null }
  const { argv, env } = namespaces.wrap(trial, {
    kept: [],
    unit: 'trial',
    account: 'trial',
  })
  const [file, ...args] = argv
  const { status } = spawnSync(file, args, {
    env,
    stdio: 'ignore',
    timeout: TRIAL_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  return status === 0 ? namespaces : null
}

/** What would separate accounts if a spawner were started by this user, who is not root. */
export function isolationWithoutRoot(dataDirectory: string): Isolation {
  const setpriv = findTool('setpriv')
  const env = findTool('env')
  if (setpriv === null || env === null) return 'none'
  return findNamespaces({ setpriv, env }, dataDirectory) === null ? 'none' : 'namespaces'
}

/** Null where a program is missing. */
function findNamespaceTools(): NamespaceTools | null {
  const [unshare, mount, sh] = [findTool('unshare'), findTool('mount'), findTool('sh')]
  return unshare === null || mount === null || sh === null ? null : { unshare, mount, sh }
}

function identityWrapper(tools: NamespaceTools, env: string): readonly [string, ...string[]] {
  const user = [`--map-user=${currentUid()}`, `--map-group=${currentGid()}`]
  // Node ignores these two, and what is ignored stays so in the program that it becomes.
  const signals = [env, '--default-signal=PIPE,XFSZ', '--']
  return [tools.unshare, '--user', ...user, '--', ...signals]
}

/** The process that is started stays outside of the namespaces and ends as the command does. */
function namespaceCommand(
  tools: NamespaceTools,
  command: SpawnCommand,
  options: { plan: MountPlan; setpriv: string; unit: string; account: string },
): SpawnCommand {
  const variables = Object.entries(command.env).map(([name, value]) => `${name}=${value}`)
  return {
    argv: [
      options.setpriv,
      '--no-new-privs',
      '--',
      tools.unshare,
      ...UNSHARE_FLAGS,
      '--',
      tools.sh,
      '-c',
      INIT,
      'init',
      process.execPath,
      '--no-warnings',
      PROGRAM,
      JSON.stringify(options.plan),
      ...command.argv,
    ],
    env: {
      NANOSCALE_UNIT: options.unit,
      NANOSCALE_ACCOUNT: options.account,
      ...Object.fromEntries(variables.map((text, index) => [`NANOSCALE_E${index}`, text])),
    },
    user: null,
    isBehindInit: true,
  }
}

/** Hides the whole data directory and what else the user who runs us owns or may speak to, except `kept`. */
function planMounts(
  tools: NamespaceTools,
  dataDirectory: string,
  kept: readonly KeptDirectory[],
): MountPlan {
  const scratch = outermost(SCRATCH.filter(existsSync).map((path) => realpathSync(path)))
  const candidates = [dataDirectory, RUNTIME_DIRECTORY, ...homeDirectories()]
  const hidden = outermost(candidates.filter(existsSync).map((path) => realpathSync(path)))
  return {
    mount: tools.mount,
    hidden: hidden.filter((path) => !scratch.some((other) => isBelow(path, other))),
    scratch: scratch.filter((path) => !hidden.some((other) => isBelow(path, other))),
    kept: [...kept, ...resolverDirectories()],
  }
}

function homeDirectories(): string[] {
  const known = [() => userInfo().homedir, homedir].flatMap((read) => {
    try {
      return [read()]
    } catch {
      // A user without an entry in the user database, as containers have.
      return []
    }
  })
  const homes = known.filter(existsSync).map((path) => realpathSync(path))
  return homes.filter(
    (home) => !SYSTEM_DIRECTORIES.some((path) => isBelow(path, home) || isBelow(home, path)),
  )
}

/** Where `/etc/resolv.conf` leads to on machines that keep it in the runtime directory. */
function resolverDirectories(): KeptDirectory[] {
  const path = existsSync('/etc/resolv.conf') ? dirname(realpathSync('/etc/resolv.conf')) : '/etc'
  if (!isBelow(path, RUNTIME_DIRECTORY) || path === RUNTIME_DIRECTORY) return []
  return [{ path, writable: false, optional: true }]
}

/** Without those that lie in others. */
function outermost(paths: readonly string[]): string[] {
  const unique = [...new Set(paths)]
  return unique.filter((path) => !unique.some((other) => other !== path && isBelow(path, other)))
}

function isBelow(path: string, parent: string): boolean {
  return path === parent || path.startsWith(parent === '/' ? '/' : `${parent}/`)
}
