import { OperationError } from '../lib/errors.ts'
import type { Account } from './spawner.ts'

/** User and group ids of one data directory; its base is a multiple of this. */
export const RANGE_SIZE = 200_000
const PROJECT_OFFSET = 10_000
const BUILD_SLOTS = 10_000
const PROJECT_SLOTS = 80_000
const MIRROR_OFFSET = 100_000

/** The ids that the builds, projects and mirrors of one data directory have, and nobody else on this machine. */
export interface AccountRange {
  base: number
  /** The uid (and gid) of an account. Throws `spawner.invalid_account`. */
  uidOf(account: Account): number
  /** True for uids that only accounts of ours have: the only processes that root may signal, the only owners it becomes. */
  isAccountUid(uid: number): boolean
  isBuildUid(uid: number): boolean
  isMirrorGid(gid: number): boolean
  /** Group ids of git mirrors; each mirror directory keeps its own. */
  firstMirrorGid: number
  lastMirrorGid: number
  /** Nobody runs as these. The first removes what several build accounts wrote, the second ends build accounts. */
  janitorUid: number
  reaperUid: number
}

export function accountRange(base: number): AccountRange {
  const firstProjectUid = base + PROJECT_OFFSET
  const firstMirrorGid = base + MIRROR_OFFSET
  const lastMirrorGid = base + RANGE_SIZE - 1
  return {
    base,
    uidOf: ({ kind, slot }) => {
      const slots = kind === 'build' ? BUILD_SLOTS : PROJECT_SLOTS
      if (!Number.isSafeInteger(slot) || slot < 0 || slot >= slots) {
        throw new OperationError(
          'spawner.invalid_account',
          `Cannot use ${kind} account ${slot}: slots are 0 to ${slots - 1}`,
        )
      }
      return kind === 'build' ? base + slot : firstProjectUid + slot
    },
    isAccountUid: (uid) => uid >= base && uid < firstProjectUid + PROJECT_SLOTS,
    isBuildUid: (uid) => uid >= base && uid < base + BUILD_SLOTS,
    isMirrorGid: (gid) => gid >= firstMirrorGid && gid <= lastMirrorGid,
    firstMirrorGid,
    lastMirrorGid,
    janitorUid: base + 99_998,
    reaperUid: base + 99_999,
  }
}

/** The base of the range that an id lies in, whosever range that is. */
export function baseOfId(id: number): number {
  return id - (id % RANGE_SIZE)
}

/**
 * The uid that an account's processes run as, by the base of the data directory's range (`accountBase` of the spawner):
 * the current user's where that is null, because accounts are not users of the machine.
 */
export function uidOf(account: Account, base: number | null): number {
  return base === null ? currentUid() : accountRange(base).uidOf(account)
}

export function currentUid(): number {
  return process.getuid?.() ?? 0
}

export function currentGid(): number {
  return process.getgid?.() ?? 0
}
