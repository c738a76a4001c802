import { createHash } from 'node:crypto'
import { basename } from 'node:path'

import { isOperationError, OperationError } from '../lib/errors.ts'
import type { BuildAccount } from '../spawner/spawner.ts'
import { sourceError } from './git-failure.ts'
import { parseRepositoryUrl } from './repository-url.ts'
import { isTimeout, openRemote, runGit, runRemoteGit, withRetries } from './run-git.ts'
import type { GitSite } from './run-git.ts'
import { limitsOf } from './source-deps.ts'
import type { Source, SourceDeps } from './source-deps.ts'

/** One mirror, ours alone while it is open. */
export interface Mirror {
  id: string
  account: BuildAccount
  /** Absolute. */
  directory: string
  site: GitSite
}

/**
 * One place per (organization, repository): tenants never share objects. A repository that is known by its host's id has
 * a mirror of its own, which its next name finds too; no project that only knows a name sees into it.
 */
export function mirrorIdOf(source: Source, gitHosts: readonly string[]): string {
  const { url, identity } = parseRepositoryUrl(source.repoUrl, gitHosts)
  const { organizationId, repositoryId = null } = source
  const place = repositoryId === null ? [identity] : [new URL(url).origin, repositoryId]
  const key = JSON.stringify([organizationId, ...place])
  return createHash('sha256').update(key).digest('hex').slice(0, 40)
}

/** Mirrors that are in use, with the end of the last one in the queue: one process has one set of mirrors. */
const queues = new Map<string, Promise<void>>()

/**
 * Opens the mirror of a source for exclusive use by `work`, under a build account of its own unless one is given, making
 * it when it is missing. A mirror that turns out to be damaged (a crash in the middle of a fetch) is made anew, once.
 */
export async function withMirror<Result>(
  deps: SourceDeps,
  source: Source,
  work: (mirror: Mirror) => Promise<Result>,
  signal: AbortSignal,
  account?: BuildAccount,
): Promise<Result> {
  const id = mirrorIdOf(source, deps.gitHosts)
  // The account first: whoever holds the mirror must never wait for one that waits for the mirror.
  await using lease = account === undefined ? await deps.buildAccounts.acquire(signal) : null
  const user = account ?? lease?.account
  if (user === undefined) throw new Error('unreachable: no account')
  return await exclusively(id, signal, async () => {
    try {
      return await work(await openMirror(deps, id, user, signal))
    } catch (error) {
      if (!isOperationError(error, 'source.damaged')) throw error
      await removeMirror(deps, id)
      return await work(await openMirror(deps, id, user, signal))
    }
  })
}

/** Directories that this process has seen to be mirrors: asking git each time would be one more process per step. */
const seenMirrors = new Set<string>()

async function openMirror(
  deps: SourceDeps,
  id: string,
  account: BuildAccount,
  signal: AbortSignal,
): Promise<Mirror> {
  const place = { area: 'mirrors', id } as const
  const directory = await deps.spawner.makeDirectory(place, account)
  const mirror: Mirror = { id, account, directory, site: { account, place, mirror: id } }
  if (seenMirrors.has(directory)) return mirror
  const probe = { gitDirectory: directory, args: ['rev-parse', '--is-bare-repository'] }
  const found = await runGit(deps, mirror.site, probe, signal)
  if (found.exitCode !== 0) await initialise(deps, mirror, signal)
  seenMirrors.add(directory)
  return mirror
}

async function initialise(deps: SourceDeps, mirror: Mirror, signal: AbortSignal): Promise<void> {
  const args = ['init', '--quiet', '--bare', '--shared=group', '--template=']
  args.push('--initial-branch=main')
  const made = await runGit(deps, mirror.site, { gitDirectory: mirror.directory, args }, signal)
  if (made.exitCode === 0) return
  throw new OperationError('source.mirror_unusable', `Cannot make a mirror: ${made.stderr.trim()}`)
}

async function removeMirror(deps: SourceDeps, id: string): Promise<void> {
  for (const directory of seenMirrors) {
    if (basename(directory) === id) seenMirrors.delete(directory)
  }
  await deps.spawner.remove({ area: 'mirrors', id })
}

/** Nothing is ever pruned in a mirror: starting over is the way to give space back. */
async function makeRoom(deps: SourceDeps, mirror: Mirror, signal: AbortSignal): Promise<void> {
  const used = await deps.spawner.usage({ area: 'mirrors', id: mirror.id })
  if (used <= limitsOf(deps).mirrorBytes / 2) return
  await removeMirror(deps, mirror.id)
  await openMirror(deps, mirror.id, mirror.account, signal)
}

/**
 * Fetches into a mirror within a time and a disk limit. A mirror whose fetch was broken off by us is removed, because it
 * holds a half-written pack that nobody would ever clean up.
 */
export async function fetchInto(
  deps: SourceDeps,
  mirror: Mirror,
  fetch: { source: Source; flags: readonly string[]; refspec: string },
  signal: AbortSignal,
): Promise<void> {
  const { fetchTimeoutMs: timeoutMs, mirrorBytes } = limitsOf(deps)
  const place = { area: 'mirrors', id: mirror.id } as const
  const attempt = async () => {
    const remote = await openRemote(deps, fetch.source, signal)
    const flags = ['--quiet', '--no-tags', '--no-write-fetch-head', '--force', ...fetch.flags]
    const args = ['fetch', ...flags, '--', remote.repository.url, fetch.refspec]
    const quota = watchUsage(deps, mirror.id, signal)
    try {
      const run = { gitDirectory: mirror.directory, args, remote, timeoutMs }
      await runRemoteGit(deps, mirror.site, run, quota.signal)
    } catch (error) {
      // The kernel ends git without a word when it writes a file of more than the limit.
      if (quota.isExceeded() || (await deps.spawner.usage(place)) >= mirrorBytes) {
        const reason = `it needs more than ${Math.round(mirrorBytes / 1024 ** 2)} MB`
        throw sourceError('source.refused', remote.repository, reason, error)
      }
      throw error
    } finally {
      await quota.stop()
    }
  }
  await makeRoom(deps, mirror, signal)
  try {
    await withRetries(deps, attempt, signal)
  } catch (error) {
    const isRefused = ['source.refused', 'source.no_space'].some((code) =>
      isOperationError(error, code),
    )
    const isBrokenOff = signal.aborted || isRefused
    if (isBrokenOff || (error instanceof Error && isTimeout(error.cause))) {
      await removeMirror(deps, mirror.id)
    }
    throw error
  }
}

/** Looks at the disk use of a mirror until stopped; its signal aborts when that is over the limit. */
function watchUsage(deps: SourceDeps, id: string, signal: AbortSignal) {
  const { mirrorBytes, usageIntervalMs } = limitsOf(deps)
  const exceeded = new AbortController()
  const stopped = new AbortController()
  const watch = async () => {
    while (!stopped.signal.aborted) {
      await deps.clock.sleep(usageIntervalMs, stopped.signal)
      if ((await deps.spawner.usage({ area: 'mirrors', id })) > mirrorBytes) exceeded.abort()
    }
  }
  const watching = watch().catch(() => {})
  return {
    signal: AbortSignal.any([signal, exceeded.signal]),
    isExceeded: () => exceeded.signal.aborted,
    stop: async () => {
      stopped.abort()
      await watching
    },
  }
}

async function exclusively<Result>(
  id: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  const before = queues.get(id) ?? Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  // Whoever gives up waiting must not let the next one in early.
  const turn = Promise.all([before, promise]).then(() => {})
  queues.set(id, turn)
  try {
    await orAbort(before, signal)
    return await work()
  } finally {
    resolve()
    if (queues.get(id) === turn) queues.delete(id)
  }
}

async function orAbort(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
