import { OperationError } from '../lib/errors.ts'
import type { Account, Isolation } from './spawner.ts'

/** Above what distributions give to people and system users, below what they give to containers by default. */
const BASE_UID = 200_000
const PROJECT_OFFSET = 10_000
const MIRROR_OFFSET = 100_000
const BUILD_SLOTS = 10_000
const PROJECT_SLOTS = 80_000

/** Nobody runs as these. The first removes what several build accounts wrote, the second ends build accounts. */
export const JANITOR_UID = BASE_UID + 99_998
export const REAPER_UID = BASE_UID + 99_999

/** The first group id of git mirrors; each mirror directory keeps its own. */
export const FIRST_MIRROR_GID = BASE_UID + MIRROR_OFFSET
export const LAST_MIRROR_GID = BASE_UID + 2 * MIRROR_OFFSET - 1

/**
 * The uid (and gid) that an account's processes run as. Where accounts are not users of the machine (`isolation` of
 * the spawner), that is the current user's.
 */
export function uidOf(account: Account, isolation: Isolation): number {
  return isolation === 'users' ? isolatedUidOf(account) : currentUid()
}

/** The uid of an account when the spawner runs as root. Throws `spawner.invalid_account`. */
export function isolatedUidOf(account: Account): number {
  const { kind, slot } = account
  const slots = kind === 'build' ? BUILD_SLOTS : PROJECT_SLOTS
  if (!Number.isSafeInteger(slot) || slot < 0 || slot >= slots) {
    throw new OperationError(
      'spawner.invalid_account',
      `Cannot use ${kind} account ${slot}: slots are 0 to ${slots - 1}`,
    )
  }
  return kind === 'build' ? BASE_UID + slot : BASE_UID + PROJECT_OFFSET + slot
}

/** True for uids that only accounts of ours have: the only processes that root may signal, the only owners it becomes. */
export function isAccountUid(uid: number): boolean {
  return uid >= BASE_UID && uid < JANITOR_UID
}

export function isBuildUid(uid: number): boolean {
  return uid >= BASE_UID && uid < BASE_UID + BUILD_SLOTS
}

export function isMirrorGid(gid: number): boolean {
  return gid >= FIRST_MIRROR_GID && gid <= LAST_MIRROR_GID
}

export function currentUid(): number {
  return process.getuid?.() ?? 0
}

export function currentGid(): number {
  return process.getgid?.() ?? 0
}
