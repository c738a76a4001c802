import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import { runCommand } from '../../lib/run-command.ts'

/** A directory for one demo, which goes with all that is in it. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const directory = await mkdtemp(path.join(tmpdir(), 'nanoscale-demo-'))
  // Apps and builds run under users of their own and must be able to pass through.
  await chmod(directory, 0o711)
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      // Releases are read-only, also for who made them unless that is root.
      await runCommand({ argv: ['chmod', '-R', 'u+rwX', '--', directory] }, { timeoutMs: 20_000 })
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
