import { randomUUID } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemClock } from '../lib/clock.ts'
import { uidOf } from './accounts.ts'
import type { AccountRange } from './accounts.ts'
import { keepAccountRange } from './keep-account-range.ts'
import { createLocalSpawner } from './local-spawner.ts'
import type { LocalSpawner } from './local-spawner.ts'
import { processesOfUid } from './process-table.ts'
import type { Account, BuildAccount, Limits, ProcessRef, ProjectAccount } from './spawner.ts'

export const isRoot = process.getuid?.() === 0
export const skipUnlessRoot = isRoot
  ? {}
  : { skip: 'needs root: accounts are users of the machine' }

/** Nobody's on any machine: stands for the user that the platform runs as. */
export const PLATFORM_USER = { uid: 199_990, gid: 199_990 }

export const LIMITS: Limits = { maxProcesses: 64, maxOpenFiles: 256 }

export const BUILD_A: BuildAccount = { kind: 'build', slot: 0 }
export const BUILD_B: BuildAccount = { kind: 'build', slot: 1 }
export const BUILD_C: BuildAccount = { kind: 'build', slot: 2 }
export const PROJECT_A: ProjectAccount = { kind: 'project', slot: 0 }
export const PROJECT_B: ProjectAccount = { kind: 'project', slot: 1 }

export interface TestSpawner extends AsyncDisposable {
  spawner: LocalSpawner
  dataDirectory: string
  /** This data directory's alone, as in production; null when not root. */
  accounts: AccountRange | null
  uidOf(account: Account): number
  /** Starts `sh -c script` in a fresh workspace of the account; `sh` is the tenant's choice, as any program would be. */
  start(
    account: Account,
    script: string,
    options?: { unit?: string; env?: Record<string, string> },
  ): Promise<ProcessRef>
  logOf(ref: ProcessRef): Promise<string>
  /** Resolves when the log of a process holds `text`; rejects after 5 s. */
  waitForLog(ref: ProcessRef, text: string): Promise<void>
}

/** A spawner with a data directory of its own; all that was started is ended at the end. */
export async function openTestSpawner(): Promise<TestSpawner> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'nanoscale-spawner-'))
  await chmod(dataDirectory, 0o711)
  await mkdir(join(dataDirectory, 'run'), { mode: 0o700 })
  const accounts = isRoot ? await keepAccountRange({ clock: systemClock }, { dataDirectory }) : null
  const spawner = createLocalSpawner({
    dataDirectory,
    platformUser: isRoot ? PLATFORM_USER : null,
    accounts,
    clock: systemClock,
  })
  const started: { ref: ProcessRef; account: Account }[] = []
  const logOf = (ref: ProcessRef) =>
    readFile(join(dataDirectory, 'logs', `${ref.unit}.log`), 'utf8')
  return {
    spawner,
    dataDirectory,
    accounts,
    uidOf: (account) => uidOf(account, accounts?.base ?? null),
    async start(account, script, options = {}) {
      const unit = options.unit ?? `test-${randomUUID()}`
      const place = { area: account.kind === 'build' ? 'builds' : 'apps', id: unit } as const
      await spawner.makeDirectory(place, account)
      const ref = await spawner.start({
        unit,
        account,
        argv: ['sh', '-c', script],
        env: { PATH: '/usr/bin:/bin', ...options.env },
        directory: place,
        limits: LIMITS,
        log: `${unit}.log`,
      })
      started.push({ ref, account })
      return ref
    },
    logOf,
    async waitForLog(ref, text) {
      await until(
        async () => (await logOf(ref)).includes(text),
        `"${text}" in the log of ${ref.unit}`,
      )
    },
    async [Symbol.asyncDispose]() {
      for (const { ref, account } of started) {
        await spawner.stop(ref, { graceMs: 0 })
        if (account.kind === 'build') await spawner.endAccount(account)
      }
      await spawner[Symbol.asyncDispose]()
      await rm(dataDirectory, { recursive: true, force: true })
    },
  }
}

/** Asks again each 10 ms until the answer is true; fails after 5 s. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 5000
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`Timed out waiting for ${what}`)
    await systemClock.sleep(10)
  }
}

export function countProcesses(uid: number): number {
  return processesOfUid(uid).pids.length
}
