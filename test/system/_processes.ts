import { readdir, readFile, readlink, stat } from 'node:fs/promises'

/** What `/proc` says of one process; what may not be read is empty. */
export interface ProcessFacts {
  pid: number
  parent: number
  uid: number
  /** Field 22 of `/proc/<pid>/stat`. */
  startTicks: number
  /** `NAME=value` entries separated by NUL. */
  environment: string
  workingDirectory: string
  command: string
}

/** The uids of build and project accounts. */
const POOL_START = 200_000
const POOL_END = 400_000

/** All processes but zombies. */
export async function listProcesses(): Promise<ProcessFacts[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const all = await Promise.all(pids.map((pid) => readProcess(pid)))
  return all.filter((facts) => facts !== null)
}

/** Of one platform: by its data directory in environment or working directory, or by an account of the pool. */
export async function listPlatformProcesses(
  dataDirectory: string,
  since: number,
): Promise<ProcessFacts[]> {
  return (await listProcesses()).filter(
    (facts) =>
      facts.pid !== process.pid &&
      (facts.environment.includes(dataDirectory) ||
        facts.workingDirectory.startsWith(dataDirectory) ||
        (isPoolUid(facts.uid) && facts.startTicks >= since)),
  )
}

/** The processes of apps and builds: those that run in a unit. */
export async function listUnitProcesses(dataDirectory: string): Promise<ProcessFacts[]> {
  return (await listPlatformProcesses(dataDirectory, Infinity)).filter((facts) =>
    facts.environment.includes('NANOSCALE_UNIT='),
  )
}

export function isPoolUid(uid: number): boolean {
  return uid >= POOL_START && uid < POOL_END
}

export async function childrenOf(pid: number): Promise<ProcessFacts[]> {
  return (await listProcesses()).filter((facts) => facts.parent === pid)
}

/** Now, in the ticks of `startTicks`: those of a process that just started would be this. */
export async function currentTicks(): Promise<number> {
  const [uptime = '0'] = (await readFile('/proc/uptime', 'utf8')).split(' ')
  return Math.floor(Number(uptime) * 100)
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
    startTicks: Number(fields[19]),
    environment,
    workingDirectory,
    command: command.replaceAll('\0', ' ').trim(),
  }
}
