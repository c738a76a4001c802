import type { HostTools } from './host-tools.ts'
import type { Limits } from './spawner.ts'

/** How one process of an account is started: given to the kernel as it stands, no shell anywhere. */
export interface SpawnCommand {
  argv: readonly [string, ...string[]]
  env: Readonly<Record<string, string>>
  /** Set as root between fork and exec; null when accounts are no users of the machine. */
  user: { uid: number; gid: number } | null
  /** The process that ends is the first of a pid namespace, which tells of a signal by an exit code, as shells do. */
  isBehindInit?: boolean
}

/** The hard limits of the spawner itself: without CAP_SYS_RESOURCE no limit can be raised above them. */
export interface LimitCeilings {
  maxProcesses: number
  maxOpenFiles: number
  maxFileBytes: number
  maxDataBytes: number
}

/**
 * What the loader and the C library of the tools below would obey. Such variables are handed over in the last step, to
 * the command alone: a project may well preload a library, but not into the process that is about to limit it. By whole
 * names: on the way they are arguments, which every user of the machine can read, and `LANGFUSE_SECRET_KEY` is a secret.
 */
const LOADER_VARIABLE = new RegExp(
  `^(${[
    'LD_(ASSUME_KERNEL|AUDIT|BIND_NOT|BIND_NOW|DEBUG|DEBUG_OUTPUT|DYNAMIC_WEAK|HWCAP_MASK|LIBRARY_PATH)',
    'LD_(ORIGIN_PATH|POINTER_GUARD|PREFER_MAP_32BIT_EXEC|PRELOAD|PROFILE|PROFILE_OUTPUT|SHOW_AUXV)',
    'LD_(TRACE_LOADED_OBJECTS|TRACE_PRELINKING|USE_LOAD_BIAS|VERBOSE|WARN)',
    'GLIBC_TUNABLES|MALLOC_[A-Z_]+|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|RESOLV_[A-Z_]+',
    'GCONV_PATH|LOCPATH|MUSL_LOCPATH|NLSPATH|OUTPUT_CHARSET|TEXTDOMAIN|TEXTDOMAINDIR|TZ|TZDIR',
    'LC_(ADDRESS|ALL|COLLATE|CTYPE|IDENTIFICATION|MEASUREMENT|MESSAGES|MONETARY|NAME|NUMERIC)',
    'LC_(PAPER|TELEPHONE|TIME)|LANG|LANGUAGE|POSIXLY_CORRECT|_POSIX2_VERSION',
  ].join('|')})$`,
)

/**
 * The command that runs `argv` as an account: new privileges refused, limits lowered, then the working directory
 * entered. Never does root run anything with the account's environment, or enter a directory that the account made:
 * the uid changes between fork and exec, so the bounding set cannot be emptied and need not be (`--no-new-privs` makes
 * file capabilities and setuid programs powerless).
 */
export function accountCommand(
  tools: HostTools,
  spec: {
    user: { uid: number; gid: number } | null
    argv: readonly [string, ...string[]]
    env: Readonly<Record<string, string>>
    /** Absolute. */
    directory: string
    limits: Limits
    unit: string
    /** Put before the command: enters namespaces. */
    wrapper?: readonly string[]
  },
  ceilings: LimitCeilings,
): SpawnCommand {
  const env = Object.entries({ ...spec.env, NANOSCALE_UNIT: spec.unit })
  const late = env.filter(([name]) => LOADER_VARIABLE.test(name))
  return {
    argv: [
      tools.setpriv,
      '--inh-caps=-all',
      '--no-new-privs',
      '--',
      tools.prlimit,
      ...limitFlags(spec.limits, ceilings),
      '--',
      ...(spec.wrapper ?? []),
      tools.env,
      `--chdir=${spec.directory}`,
      '--',
      ...late.map(([name, value]) => `${name}=${value}`),
      ...spec.argv,
    ],
    env: Object.fromEntries(env.filter(([name]) => !LOADER_VARIABLE.test(name))),
    user: spec.user,
  }
}

/** A short command of the spawner's own, run as the owner of what it touches, with nothing of anybody's environment. */
export function ownerCommand(
  tools: HostTools,
  user: { uid: number; gid: number } | null,
  argv: readonly [string, ...string[]],
): readonly [string, ...string[]] {
  if (user === null) return argv
  return [tools.setpriv, ...identityFlags(user), '--no-new-privs', ...DROP_ALL, '--', ...argv]
}

const DROP_ALL = ['--bounding-set=-all', '--inh-caps=-all']

function identityFlags(user: { uid: number; gid: number }): string[] {
  return [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups']
}

function limitFlags(limits: Limits, ceilings: LimitCeilings): string[] {
  const maxFileBytes = Math.min(limits.maxFileBytes ?? Infinity, ceilings.maxFileBytes)
  const maxDataBytes = Math.min(limits.maxDataBytes ?? Infinity, ceilings.maxDataBytes)
  return [
    `--nproc=${Math.min(limits.maxProcesses, ceilings.maxProcesses)}`,
    `--nofile=${Math.min(limits.maxOpenFiles, ceilings.maxOpenFiles)}`,
    ...(maxFileBytes === Infinity ? [] : [`--fsize=${maxFileBytes}`]),
    ...(maxDataBytes === Infinity ? [] : [`--data=${maxDataBytes}`]),
    '--core=0',
  ]
}

/** Reads the hard limits from the text of `/proc/self/limits`. */
export function limitCeilingsOf(text: string): LimitCeilings {
  const hardLimit = (name: string) => {
    const line = text.split('\n').find((line) => line.startsWith(name))
    const hard = line?.slice(name.length).trim().split(/\s+/)[1]
    return hard === undefined || hard === 'unlimited' ? Infinity : Number(hard)
  }
  return {
    maxProcesses: hardLimit('Max processes'),
    maxOpenFiles: hardLimit('Max open files'),
    maxFileBytes: hardLimit('Max file size'),
    maxDataBytes: hardLimit('Max data size'),
  }
}
