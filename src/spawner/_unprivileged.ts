import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chown, copyFile, link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemClock } from '../lib/clock.ts'
import { listPids } from '../lib/pids.ts'
import { readProcessFile, startTicksOf } from '../lib/process-identity.ts'
import { LIMITS, until } from './_spawner.ts'
import { signal, uidOfProcess } from './process-table.ts'
import { connectSpawner } from './spawner-client.ts'
import type { Account, ProcessRef, Spawner } from './spawner.ts'

const PROGRAM = join(import.meta.dirname, '_unprivileged-process.ts')

export interface UnprivilegedSpawner extends AsyncDisposable {
  spawner: Spawner
  dataDirectory: string
  home: string
  start(account: Account, script: string, env?: Record<string, string>): Promise<ProcessRef>
  logOf(ref: ProcessRef): Promise<string>
  waitForLog(ref: ProcessRef, text: string): Promise<void>
  /** Puts Node where units see it: a checkout below a private directory is hidden from them. Returns its path. */
  installNode(): Promise<string>
  /** Kills the spawner and starts another one. */
  restart(): Promise<void>
  /** Processes of the user but the spawner. */
  processes(): number[]
}

/** Another user may not enter a checkout below a closed directory. */
export function mayReadCheckout(uid: number): boolean {
  const user = process.getuid?.() === 0 ? { uid, gid: uid } : {}
  return spawnSync('test', ['-r', PROGRAM, '-a', '-x', process.execPath], user).status === 0
}

/** A spawner that runs as `uid` when we are root, else as ourselves, with a data directory and a home of that user. */
export async function openUnprivilegedSpawner(uid: number): Promise<UnprivilegedSpawner> {
  const home = await mkdtemp(join(tmpdir(), 'nanoscale-unprivileged-'))
  const dataDirectory = join(home, 'data')
  await mkdir(dataDirectory)
  await writeFile(join(home, '.npmrc'), 'private')
  for (const path of [home, dataDirectory, join(home, '.npmrc')]) await chown(path, uid, uid)
  let child = await launch(uid, { home, dataDirectory })
  const spawner = connectSpawner(join(dataDirectory, 'run', 'spawner.sock'), { clock: systemClock })
  const logOf = (ref: ProcessRef) =>
    readFile(join(dataDirectory, 'logs', `${ref.unit}.log`), 'utf8')
  const processes = () =>
    listPids().filter(
      (pid) =>
        pid !== child.pid &&
        uidOfProcess(pid) === uid &&
        startTicksOf(pid) !== null &&
        readProcessFile(pid, 'environ')?.includes(home) !== false,
    )
  return {
    spawner,
    dataDirectory,
    home,
    logOf,
    processes,
    async start(account, script, env = {}) {
      const unit = `test-${randomUUID()}`
      const place = { area: account.kind === 'build' ? 'builds' : 'apps', id: unit } as const
      await spawner.makeDirectory(place, account)
      return await spawner.start({
        unit,
        account,
        argv: ['sh', '-c', script],
        env: { PATH: '/usr/bin:/bin', ...env },
        directory: place,
        limits: LIMITS,
        log: `${unit}.log`,
      })
    },
    waitForLog: (ref, text) =>
      until(async () => (await logOf(ref)).includes(text), `"${text}" in the log of ${ref.unit}`),
    installNode: () => installNode(dataDirectory),
    async restart() {
      await end(child)
      child = await launch(uid, { home, dataDirectory })
    },
    async [Symbol.asyncDispose]() {
      await spawner[Symbol.asyncDispose]()
      await end(child)
      await until(() => {
        const left = processes()
        for (const pid of left) signal(pid, 'SIGKILL')
        return left.length === 0
      }, 'everything to be killed')
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function installNode(dataDirectory: string): Promise<string> {
  const directory = join(dataDirectory, 'toolchain', 'bin')
  await mkdir(directory, { recursive: true })
  const node = join(directory, 'node')
  // A link where the file system allows it: Node is large.
  await link(process.execPath, node).catch(() => copyFile(process.execPath, node))
  return node
}

async function launch(
  uid: number,
  options: { home: string; dataDirectory: string },
): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['--no-warnings', PROGRAM, options.dataDirectory], {
    env: { PATH: '/usr/bin:/bin', HOME: options.home, KEY: 'private' },
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(process.getuid?.() === 0 ? { uid, gid: uid } : {}),
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the spawner ended with ${String(code)}`)
  })
  const ready = once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) })
  ended.catch(() => {})
  await Promise.race([ready, ended])
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
