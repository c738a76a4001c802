import { readFileSync } from 'node:fs'

import { listPids } from '../lib/pids.ts'
import { identityOf } from '../lib/process-identity.ts'
import type { ProcessRef, Spawner } from '../spawner/spawner.ts'

/**
 * Ends every app and build that was started from this data directory. Known by the environment that we gave them, not
 * from the database: this works when nothing else does.
 */
export async function endApps(
  spawner: Pick<Spawner, 'stop'>,
  dataDirectory: string,
  graceMs: number,
): Promise<number> {
  const units = findUnits(dataDirectory)
  await Promise.all([...units.values()].map((leader) => spawner.stop(leader, { graceMs })))
  return units.size
}

function findUnits(dataDirectory: string): Map<string, ProcessRef> {
  const units = new Map<string, ProcessRef>()
  for (const pid of listPids()) {
    const environment = readEnvironment(pid)
    const unit = /(?:^|\0)NANOSCALE_UNIT=([^\0]*)/.exec(environment)?.[1]
    if (unit === undefined || !environment.includes(`=${dataDirectory}/`)) continue
    const identity = identityOf(pid)
    // The first of a unit is its leader or close to it; stopping goes by the unit's name all the same.
    if (identity !== null && !units.has(unit)) units.set(unit, { unit, ...identity })
  }
  return units
}

function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    // It ended in between, or is not ours to look at.
    return ''
  }
}
