import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import path from 'node:path'

import { type Platform } from './_platform.ts'
import { listUnitProcesses, isPoolUid, type ProcessFacts } from './_processes.ts'
import type { TestProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

/** Processes of apps and builds, by unit or by account. */
export async function tenantProcesses(platform: Platform): Promise<ProcessFacts[]> {
  const units = await listUnitProcesses(platform.dataDirectory)
  const others = (await platform.processes()).filter(({ uid }) => isPoolUid(uid))
  return [...new Map([...units, ...others].map((facts) => [facts.pid, facts])).values()]
}

/** After an attempt that ended: the old version serves, one app runs, and no build has left anything. */
export async function assertUnharmed(
  platform: Platform,
  app: TestProject,
  body: string,
): Promise<void> {
  assert.equal(await app.text('/'), body)
  await waitFor('only one app to run and no workspace to be left', 30_000, async () => {
    const commands = (await tenantProcesses(platform)).map(({ command }) => command)
    const workspaces = await readdir(path.join(platform.dataDirectory, 'builds'))
    if (commands.length > 1 || workspaces.length > 0) {
      throw new Error(`running: ${commands.join(' | ')}; workspaces: ${workspaces.join(', ')}`)
    }
    return true
  })
}
