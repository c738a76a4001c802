import type { GithubApp } from '../githosts/github-host.ts'
import type { Clock } from '../lib/clock.ts'
import type { IntegrationDeps } from './integration-deps.ts'

/** A person types and pages: GitHub is not asked for each key. */
const FRESH_MS = 10_000
const MAX_CACHED = 200
const PAGE_SIZE = 100
/** Searching looks through as many pages; a repository of more branches is rare. */
const MAX_PAGES = 20

export interface Branch {
  name: string
  head: string
}

export interface BranchPage {
  branches: Branch[]
  /** Where the next page begins: the last name of this one. */
  next: string | null
  /** False when there are more branches than are looked through. */
  complete: boolean
}

interface Listing {
  at: number
  branches: readonly Branch[]
  complete: boolean
}

/** Branches of repositories, from GitHub, kept for seconds. */
export interface Branches {
  list(
    app: GithubApp,
    place: { installationId: number; repoId: number },
    page: { after: string | null; limit: number; query: string | null },
    signal: AbortSignal,
  ): Promise<BranchPage>
}

export function createBranches(deps: {
  clock: Pick<Clock, 'now'>
  github: Pick<IntegrationDeps['github'], 'listBranches'>
}): Branches {
  const cached = new Map<string, Listing>()
  return {
    list: async (app, place, page, signal) => {
      const key = JSON.stringify([app.integrationId, place.installationId, place.repoId])
      let listing = cached.get(key)
      if (listing === undefined || deps.clock.now() - listing.at >= FRESH_MS) {
        listing = await readAll(deps, app, place, signal)
        cached.delete(key)
        cached.set(key, listing)
        const [oldest] = cached.keys()
        if (cached.size > MAX_CACHED && oldest !== undefined) cached.delete(oldest)
      }
      return choose(listing, page)
    },
  }
}

async function readAll(
  deps: Parameters<typeof createBranches>[0],
  app: GithubApp,
  place: { installationId: number; repoId: number },
  signal: AbortSignal,
): Promise<Listing> {
  const at = deps.clock.now()
  const branches: Branch[] = []
  for (let number = 1; number <= MAX_PAGES; number += 1) {
    const page = { number, size: PAGE_SIZE }
    const answer = await deps.github.listBranches(app, place, page, signal)
    branches.push(...answer.branches)
    if (!answer.more) return { at, branches: sorted(branches), complete: true }
  }
  return { at, branches: sorted(branches), complete: false }
}

function sorted(branches: readonly Branch[]): Branch[] {
  return branches.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

function choose(
  { branches, complete }: Listing,
  { after, limit, query }: { after: string | null; limit: number; query: string | null },
): BranchPage {
  const part = query?.toLowerCase() ?? ''
  const found = branches.filter(
    ({ name }) => name.toLowerCase().includes(part) && (after === null || name > after),
  )
  const shown = found.slice(0, limit)
  const next = found.length > limit ? (shown.at(-1)?.name ?? null) : null
  return { branches: shown, next, complete }
}
