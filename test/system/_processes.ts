import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { accountRange } from '../../src/spawner/accounts.ts'

/** What `/proc` says of one process; what may not be read is empty. */
export interface ProcessFacts {
  pid: number
  parent: number
  uid: number
  /** `NAME=value` entries separated by NUL. */
  environment: string
  workingDirectory: string
  command: string
}

/** All processes but zombies. */
export async function listProcesses(): Promise<ProcessFacts[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const all = await Promise.all(pids.map((pid) => readProcess(pid)))
  return all.filter((facts) => facts !== null)
}

/** Of one platform: by its data directory in environment or working directory, or by an account of its own. */
export async function listPlatformProcesses(dataDirectory: string): Promise<ProcessFacts[]> {
  const isAccount = await readAccounts(dataDirectory)
  return (await listProcesses()).filter(
    (facts) =>
      facts.pid !== process.pid &&
      (facts.environment.includes(dataDirectory) ||
        facts.workingDirectory.startsWith(dataDirectory) ||
        isAccount(facts.uid)),
  )
}

/** The processes of apps and builds, by unit or by account. */
export async function listTenantProcesses(dataDirectory: string): Promise<ProcessFacts[]> {
  const isAccount = await readAccounts(dataDirectory)
  return (await listPlatformProcesses(dataDirectory)).filter(
    ({ environment, uid }) => environment.includes('NANOSCALE_UNIT=') || isAccount(uid),
  )
}

/** Which uids are those of builds and projects: none before the first start, and none without root. */
async function readAccounts(dataDirectory: string): Promise<(uid: number) => boolean> {
  const path = join(dataDirectory, 'accounts.json')
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return () => false
  const { base } = JSON.parse(text) as { base: number }
  const accounts = accountRange(base)
  return (uid) => accounts.isAccountUid(uid)
}

export async function childrenOf(pid: number): Promise<ProcessFacts[]> {
  return (await listProcesses()).filter((facts) => facts.parent === pid)
}

async function readProcess(pid: number): Promise<ProcessFacts | null> {
  const statLine = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (statLine === null) return null
  const fields = statLine.slice(statLine.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return null
  const [owner, environment, workingDirectory, command] = await Promise.all([
    stat(`/proc/${pid}`).catch(() => null),
    readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
    readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
  ])
  if (owner === null) return null
  return {
    pid,
    parent: Number(fields[1]),
    uid: owner.uid,
    environment,
    workingDirectory,
    command: command.replaceAll('\0', ' ').trim(),
  }
}
