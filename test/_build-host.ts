import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemClock } from '../src/lib/clock.ts'
import { newId } from '../src/lib/ids.ts'
import type { SourceDeps } from '../src/sources/source-deps.ts'
import { createBuildAccounts } from '../src/spawner/build-accounts.ts'
import type { BuildAccounts } from '../src/spawner/build-accounts.ts'
import { keepAccountRange } from '../src/spawner/keep-account-range.ts'
import { createLocalSpawner } from '../src/spawner/local-spawner.ts'
import type { LocalSpawner } from '../src/spawner/local-spawner.ts'

export interface BuildHost extends AsyncDisposable {
  dataDirectory: string
  spawner: LocalSpawner
  buildAccounts: BuildAccounts
  /** Deps of the `sources` room for the Git hosts given; names resolve to nothing unless `lookup` says so. */
  sourceDeps(gitHosts: readonly string[], other?: Partial<SourceDeps>): SourceDeps
}

/** A data directory with a real spawner and build accounts: separate users when the tests run as root. */
export async function startBuildHost(): Promise<BuildHost> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'build-host-'))
  await chmod(dataDirectory, 0o711)
  const isRoot = process.getuid?.() === 0
  const platformUser = isRoot ? { uid: 0, gid: 0 } : null
  const clock = systemClock
  const accounts = isRoot ? await keepAccountRange({ clock }, { dataDirectory }) : null
  const spawner = createLocalSpawner({ dataDirectory, platformUser, accounts, clock })
  const buildAccounts = createBuildAccounts(spawner, 3)
  return {
    dataDirectory,
    spawner,
    buildAccounts,
    sourceDeps: (gitHosts, other) => ({
      spawner,
      buildAccounts,
      gitHosts,
      clock,
      newId,
      lookup: () => Promise.resolve([]),
      limits: { retryAfterMs: [5, 10] },
      ...other,
    }),
    [Symbol.asyncDispose]: async () => {
      for (const slot of [0, 1, 2]) await spawner.endAccount({ kind: 'build', slot })
      await spawner[Symbol.asyncDispose]()
      await rm(dataDirectory, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
