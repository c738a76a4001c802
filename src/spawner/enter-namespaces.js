/**
 * The second step of a unit in namespaces of its own, a program of its own: arranges what the unit may see, then
 * becomes the unit's command. Plain JavaScript without imports of ours, because it runs before each command and must
 * start fast. Its environment and its first argument come from `namespaces.ts`.
 */
import { spawnSync } from 'node:child_process'
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'

/** @typedef {import('./namespaces.ts').MountPlan} MountPlan */

/** What `env` answers when it cannot run a command at all. */
const CANNOT_START = 125
/** Where only the kernel writes, or what was just mounted. */
const LEFT_ALONE = ['/proc', '/dev']
/** Others give the person at the screen cameras and disks, and terminals that belong to somebody. */
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom']
const FLAGS = ['nosuid', 'nodev', 'noexec']

const [plan, file, ...args] = readArguments()
try {
  arrange(plan)
  if (process.execve === undefined) throw new Error('this Node cannot replace itself')
  process.execve(file, [file, ...args], readEnvironment())
} catch (error) {
  process.stderr.write(
    `Cannot separate the process: ${error instanceof Error ? error.message : 'unknown'}\n`,
  )
  process.exit(CANNOT_START)
}

/** @returns {[MountPlan, string, ...string[]]} */
function readArguments() {
  const [json = '', command = '', ...rest] = process.argv.slice(2)
  return [JSON.parse(json), command, ...rest]
}

/** Each variable of the command is the value of one of ours: the tools before must neither obey nor lose it. */
function readEnvironment() {
  const entries = Object.entries(process.env)
    .filter(([name]) => /^NANOSCALE_E[0-9]+$/.test(name))
    .map(([, value = '']) => {
      const end = value.indexOf('=')
      return [value.slice(0, end), value.slice(end + 1)]
    })
  return Object.fromEntries(entries)
}

/** @param {MountPlan} plan */
function arrange({ mount, hidden, scratch, kept }) {
  /** @param {string[]} options @param {number} [fd] */
  const run = (options, fd) => {
    const { status, stderr, error } = spawnSync(
      mount,
      ['--no-canonicalize', '--no-mtab', ...options],
      {
        env: {},
        stdio: ['ignore', 'ignore', 'pipe', ...(fd === undefined ? [] : [fd])],
      },
    )
    if (status === 0) return
    throw new Error(error?.message ?? `mount ${options.join(' ')} said "${String(stderr)}"`)
  }
  /** @param {string} path @param {string[]} flags */
  const close = (path, flags) => run(['-o', ['remount,bind,ro', ...flags].join(), 'none', path])

  run(['-t', 'proc', '-o', 'nosuid,nodev,noexec', 'proc', '/proc'])
  // Opened first: what is hidden next can be reached by nothing else.
  const sources = kept
    .filter(({ optional, path }) => !optional || existsSync(path))
    .map((place) => ({
      ...place,
      fd: openSync(place.path, constants.O_RDONLY | constants.O_DIRECTORY),
    }))
  replaceDevices(run)
  for (const path of [...hidden, ...scratch]) {
    const mode = scratch.includes(path) ? '1777' : '0755'
    run(['-t', 'tmpfs', '-o', `mode=${mode},nosuid,nodev,size=10%`, 'tmpfs', path])
  }
  for (const { path, fd } of sources) {
    mkdirSync(path, { recursive: true })
    run(['--bind', '/proc/self/fd/3', path], fd)
    closeSync(fd)
  }
  const places = sources.map((source) => ({ ...source, path: realpathSync(source.path) }))
  const open = new Set([...scratch, ...places.filter((s) => s.writable).map((s) => s.path)])
  for (const [path, flags] of readMounts()) {
    const isCovered = [...hidden, ...scratch, ...LEFT_ALONE].some((at) => isBelow(path, at))
    const isOurs = hidden.includes(path) || places.some((place) => place.path === path)
    if (open.has(path) || (isCovered && !isOurs)) continue
    if (isReachable(path)) close(path, flags)
  }
}

/** @param {(options: string[], fd?: number) => void} run */
function replaceDevices(run) {
  const devices = DEVICES.map((name) => ({
    path: `/dev/${name}`,
    fd: openSync(`/dev/${name}`, 'r'),
  }))
  run(['-t', 'tmpfs', '-o', 'mode=0755,nosuid,size=64k', 'tmpfs', '/dev'])
  for (const { path, fd } of devices) {
    writeFileSync(path, '')
    run(['--bind', '/proc/self/fd/3', path], fd)
    closeSync(fd)
  }
  for (const name of ['pts', 'shm']) mkdirSync(`/dev/${name}`)
  run(['-t', 'devpts', '-o', 'nosuid,noexec,newinstance,ptmxmode=0666', 'devpts', '/dev/pts'])
  symlinkSync('pts/ptmx', '/dev/ptmx')
  symlinkSync('/proc/self/fd', '/dev/fd')
  for (const [fd, name] of ['stdin', 'stdout', 'stderr'].entries()) {
    symlinkSync(`/proc/self/fd/${fd}`, `/dev/${name}`)
  }
}

/** What the unit's user cannot reach needs no closing, and cannot be closed. @param {string} path */
function isReachable(path) {
  try {
    lstatSync(path)
    return true
  } catch {
    return false
  }
}

/** @param {string} path @param {string} parent */
function isBelow(path, parent) {
  return path === parent || path.startsWith(`${parent}/`)
}

/**
 * The writable mounts, each with the flags that a mount taken over from another namespace must keep. Of several at one
 * place the last is on top.
 */
function readMounts() {
  /** @type {Map<string, string[]>} */
  const mounts = new Map()
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [, , , , path, options] = line.split(' ')
    if (path === undefined || options === undefined) continue
    const given = options.split(',')
    const name = path.replaceAll(/\\([0-7]{3})/g, (_, code) =>
      String.fromCharCode(Number.parseInt(code, 8)),
    )
    if (given.includes('ro')) mounts.delete(name)
    else
      mounts.set(
        name,
        FLAGS.filter((flag) => given.includes(flag)),
      )
  }
  return mounts
}
