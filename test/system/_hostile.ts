import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import path from 'node:path'

import { type Platform } from './_platform.ts'
import { listTenantProcesses } from './_processes.ts'
import type { TestProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

/** After an attempt that ended: the old version serves, one app runs, and no build has left anything. */
export async function assertUnharmed(
  platform: Platform,
  app: TestProject,
  body: string,
): Promise<void> {
  assert.equal(await app.text('/'), body)
  await waitFor('only one app to run and no workspace to be left', 30_000, async () => {
    const commands = (await listTenantProcesses(platform.dataDirectory)).map(
      ({ command }) => command,
    )
    const workspaces = await readdir(path.join(platform.dataDirectory, 'builds'))
    if (commands.length > 1 || workspaces.length > 0) {
      throw new Error(`running: ${commands.join(' | ')}; workspaces: ${workspaces.join(', ')}`)
    }
    return true
  })
}
