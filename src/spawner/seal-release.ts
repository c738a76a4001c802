import { chmod, mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { OperationError } from '../lib/errors.ts'
import { runCommand } from '../lib/run-command.ts'
import { currentGid } from './accounts.ts'
import type { AccountRange } from './accounts.ts'
import type { HostTools } from './host-tools.ts'
import { inspectTree } from './inspect-tree.ts'
import { partsOfPath, pathOfPlace } from './place-paths.ts'
import { factsOf } from './places.ts'
import { processesOfUid } from './process-table.ts'
import type { ProjectAccount } from './spawner.ts'
import { takeTree, takeWay } from './take-tree.ts'

const OWNERSHIP_TIMEOUT_MS = 300_000

export interface SealOptions {
  build: string
  path: string
  release: string
  reader: ProjectAccount | 'platform'
}

/**
 * Makes an immutable release of what a build left. Root walks a tree here that a tenant wrote. That nothing of the
 * build's uid lives is checked, but not enough: it may have let others in. So root takes the tree first, from the top,
 * and inspects what nobody can change any more. Ownership changes in place and the move comes last: a release that is
 * there is complete, whatever crashed.
 */
export async function sealRelease(
  deps: {
    dataDirectory: string
    tools: HostTools
    /** Null when accounts are no users of the machine. */
    accounts: AccountRange | null
    platformGid: number
  },
  options: SealOptions,
): Promise<{ bytes: number; path: string }> {
  const build = pathOfPlace(deps.dataDirectory, { area: 'builds', id: options.build })
  const path = pathOfPlace(deps.dataDirectory, { area: 'releases', id: options.release })
  const parts = partsOfPath(options.path)
  const { accounts, platformGid } = deps
  const readerGid = (reader: ProjectAccount) => accounts?.uidOf(reader) ?? currentGid()
  const gid = options.reader === 'platform' ? platformGid : readerGid(options.reader)
  const sealed = await factsOf(path)
  const source = await sourceOf(build, parts, sealed !== null)
  if (sealed !== null) {
    // Asked twice, because the first answer was lost.
    if (source === null) return { ...(await inspectTree(path, sealed.uid)), path }
    throw new OperationError(
      'release.already_exists',
      `Cannot seal release "${options.release}": it exists`,
    )
  }
  if (source === null) throw missing(options.path)
  await makeReleasesArea(dirname(path))
  if (accounts !== null) {
    requireQuiescence(accounts, options.build, source.ownerUid)
    await takeWay(build, parts, source.ownerUid)
    await takeTree(source.path, source.ownerUid, gid)
    const { bytes } = await inspectTree(source.path, 0)
    await rename(source.path, path)
    return { bytes, path }
  }
  const { bytes } = await inspectTree(source.path, source.ownerUid)
  await freeze(deps.tools, source.path)
  await rename(source.path, path)
  // Without root a read-only directory cannot be moved, so its own mode comes after the move.
  await chmod(path, 0o550)
  return { bytes, path }
}

/** Finds the directory step by step; a link on the way could lead anywhere. */
async function sourceOf(build: string, parts: readonly string[], mayBeMissing: boolean) {
  let path = build
  let ownerUid: number | null = null
  for (const part of ['', ...parts]) {
    path = join(path, part)
    const facts = await factsOf(path)
    if (facts === null && mayBeMissing) return null
    if (facts === null) throw missing(parts.join('/') || '.')
    if (!facts.isDirectory()) {
      throw new OperationError(
        'release.unsafe_tree',
        `Cannot release "${parts.join('/') || '.'}": "${part}" is no directory`,
      )
    }
    ownerUid ??= facts.uid
  }
  return ownerUid === null ? null : { path, ownerUid }
}

function requireQuiescence(accounts: AccountRange, build: string, uid: number): void {
  const { pids } = accounts.isBuildUid(uid) ? processesOfUid(uid) : { pids: [uid] }
  if (pids.length === 0) return
  throw new OperationError(
    'release.build_not_ended',
    `Cannot seal build "${build}": processes of its account are alive`,
  )
}

async function makeReleasesArea(path: string): Promise<void> {
  if ((await factsOf(path)) !== null) return
  await mkdir(path, { recursive: true, mode: 0o711 })
  await chmod(path, 0o711)
}

async function freeze(tools: HostTools, path: string): Promise<void> {
  await must([tools.chmod, '-R', 'u=rX,g=rX,o=,u-s,g-s,-t', '--', path])
  await chmod(path, 0o750)
}

async function must(argv: readonly [string, ...string[]]): Promise<void> {
  const { exitCode, stderr } = await runCommand({ argv }, { timeoutMs: OWNERSHIP_TIMEOUT_MS })
  if (exitCode === 0) return
  throw new OperationError(
    'release.not_sealed',
    `Cannot seal a release: ${argv[0]} said "${stderr.slice(0, 500).trim()}"`,
  )
}

function missing(path: string): OperationError {
  return new OperationError(
    'release.missing_output',
    `Cannot release "${path}": the build left no such directory`,
  )
}
