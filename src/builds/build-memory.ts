import { readFile } from 'node:fs/promises'

import { uidOf } from '../spawner/accounts.ts'
import { membersOfUnit, processesOfUid } from '../spawner/process-table.ts'
import type { BuildAccount } from '../spawner/spawner.ts'

/**
 * Bytes of memory that a build's processes hold: what is theirs alone, not the pages of programs that they share. Where
 * accounts are not users of the machine, only the unit's own processes are counted.
 */
export async function memoryOfBuild(build: {
  account: BuildAccount
  accountBase: number | null
  unit: string
}): Promise<number> {
  const pids =
    build.accountBase === null
      ? membersOfUnit(build.unit, null, null).members.map(({ pid }) => pid)
      : processesOfUid(uidOf(build.account, build.accountBase)).pids
  const sizes = await Promise.all(pids.map(memoryOfProcess))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function memoryOfProcess(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kilobytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  return (kilobytes('RssAnon') + kilobytes('RssShmem')) * 1024
}
