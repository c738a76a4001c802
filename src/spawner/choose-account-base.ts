import { OperationError } from '../lib/errors.ts'
import { RANGE_SIZE, baseOfId } from './accounts.ts'

/** Consecutive ids. */
export interface IdRange {
  first: number
  count: number
}

/** What this machine says about its user and group ids. */
export interface IdFacts {
  /** Those that exist here: a container may have fewer than a machine. One list for users, one for groups. */
  mapped: readonly (readonly IdRange[])[]
  /** Of users, groups and processes. */
  taken: Iterable<number>
  /** Given to users for their containers. */
  delegated: readonly IdRange[]
  /** Bases that other data directories have. */
  claimed: Iterable<number>
}

/**
 * First the ids that nobody gives away by default: above those of directory services (up to 2 000 200 000), of
 * subordinate users (600 100 000) and of systemd's containers (1 879 048 191), below what systemd keeps for foreign
 * images (2 147 352 576). Then, for containers that have fewer ids, all that are above 200 000.
 */
const AREAS = [
  { first: 2_000_400_000, ranges: 700 },
  { first: RANGE_SIZE, ranges: 4999 },
]

/**
 * The base of a range that nobody uses. `guess` gives a number below its argument: two data directories that choose
 * without knowing of each other (in two containers, say) then hardly ever choose the same. Throws `start.no_user_ids`.
 */
export function chooseAccountBase(facts: IdFacts, guess: (below: number) => number): number {
  const taken = new Set([...facts.claimed, ...[...facts.taken].map(baseOfId)])
  for (const { first, ranges } of AREAS) {
    const offset = guess(ranges)
    for (let step = 0; step < ranges; step++) {
      const base = first + ((offset + step) % ranges) * RANGE_SIZE
      if (!taken.has(base) && isUsable(base, facts)) return base
    }
  }
  throw new OperationError(
    'start.no_user_ids',
    `Cannot give builds and apps users of their own: there are no ${RANGE_SIZE} free user ids in a row here; if this is a container, give it more of them, or start NanoScale as another user than root`,
  )
}

function isUsable(base: number, facts: IdFacts): boolean {
  const last = base + RANGE_SIZE - 1
  const isMapped = facts.mapped.every((ranges) =>
    ranges.some(({ first, count }) => first <= base && last < first + count),
  )
  return (
    isMapped && !facts.delegated.some(({ first, count }) => base < first + count && first <= last)
  )
}

/** Lines `name:password:id:…` of `/etc/passwd` and `/etc/group`. */
export function parseIds(text: string): number[] {
  return text.split('\n').flatMap((line) => {
    const id = line.split(':')[2]
    return id !== undefined && /^[0-9]+$/.test(id) ? [Number(id)] : []
  })
}

/** Lines `name:first:count` of `/etc/subuid`, and `first outside count` of `/proc/self/uid_map`. */
export function parseRanges(text: string, columns: 'subordinate' | 'map'): IdRange[] {
  return text.split('\n').flatMap((line) => {
    const fields = columns === 'map' ? line.trim().split(/\s+/) : line.split(':')
    const [first, count] = columns === 'map' ? [fields[0], fields[2]] : [fields[1], fields[2]]
    if (!/^[0-9]+$/.test(first ?? '') || !/^[0-9]+$/.test(count ?? '')) return []
    return [{ first: Number(first), count: Number(count) }]
  })
}
