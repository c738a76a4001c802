import { randomInt } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { lstat, readFile, readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../lib/clock.ts'
import { OperationError, systemErrorCode } from '../lib/errors.ts'
import { listPids } from '../lib/pids.ts'
import { createFileAtomically } from '../lib/write-file-atomically.ts'
import { openAccountClaims } from './account-claims.ts'
import type { AccountClaims } from './account-claims.ts'
import { RANGE_SIZE, accountRange, baseOfId } from './accounts.ts'
import type { AccountRange } from './accounts.ts'
import { chooseAccountBase, parseIds, parseRanges } from './choose-account-base.ts'
import type { IdFacts } from './choose-account-base.ts'
import { uidOfProcess } from './process-table.ts'

const REGISTER = '/var/lib/nanoscale-accounts'
const FILE = 'accounts.json'
const MAX_ID = 2_147_483_647

/**
 * The range of user and group ids that this data directory's builds and apps have, for root. Chosen at the first start
 * and never again: files on disk belong to these ids. Kept in `accounts.json`; where that is missing, it is what the
 * owners of the files say. Throws `start.accounts_damaged`, `start.accounts_unclear`, `start.accounts_taken`.
 */
export async function keepAccountRange(
  deps: { clock: Clock },
  options: { dataDirectory: string; register?: string; guess?: (below: number) => number },
): Promise<AccountRange> {
  const directory = await realpath(options.dataDirectory)
  await using claims = await openAccountClaims(deps, options.register ?? REGISTER)
  const kept = await readAccountBase(directory)
  const known = kept ?? (await baseOfOwners(directory))
  if (known !== null) await refuseCopy(claims, known, directory)
  const base = known ?? (await chooseBase(claims, directory, options.guess ?? randomInt))
  await claims.claim(base, directory)
  if (kept === null) {
    const text = `${JSON.stringify({ base })}\n`
    await createFileAtomically(join(directory, FILE), text, { mode: 0o644 })
  }
  return accountRange(base)
}

/** What `accounts.json` says; null when there is none. Throws `start.accounts_damaged`. */
async function readAccountBase(directory: string): Promise<number | null> {
  const path = join(directory, FILE)
  try {
    const facts = await lstat(path)
    // Whoever could write it would choose what root ends and removes.
    const isRoots = facts.isFile() && facts.uid === 0 && (facts.mode & 0o022) === 0
    const base = isRoots ? parseBase(await readFile(path, 'utf8')) : null
    if (base !== null) return base
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  }
  throw new OperationError(
    'start.accounts_damaged',
    `Cannot use "${path}": it does not say which user ids builds and apps have, or is not root's alone; remove it, and the next start finds out by the owners of the files in "${directory}"`,
  )
}

function parseBase(text: string): number | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  const base = typeof value === 'object' && value !== null && 'base' in value ? value.base : null
  if (typeof base !== 'number' || !Number.isSafeInteger(base)) return null
  const isBase = base % RANGE_SIZE === 0 && base >= RANGE_SIZE && base + RANGE_SIZE - 1 <= MAX_ID
  return isBase ? base : null
}

/** Places of a data directory from before it had the file, or that has lost it. */
async function baseOfOwners(directory: string): Promise<number | null> {
  const bases = new Set<number>()
  const mirrors = await ownersIn(join(directory, 'mirrors'))
  // From before it was started as root: then the owner is a person, whose id may be as high as an account's.
  if (mirrors.some(({ uid }) => uid !== 0)) return null
  for (const { gid } of mirrors) {
    if (accountRange(baseOfId(gid)).isMirrorGid(gid)) bases.add(baseOfId(gid))
  }
  for (const { uid } of await ownersIn(join(directory, 'apps'))) {
    if (accountRange(baseOfId(uid)).isAccountUid(uid)) bases.add(baseOfId(uid))
  }
  // Root's own, and those of ordinary people.
  bases.delete(0)
  const [base = null] = bases
  if (bases.size <= 1) return base
  throw new OperationError(
    'start.accounts_unclear',
    `Cannot tell which user ids builds and apps of "${directory}" have: its files have owners from ${[...bases].join(' and ')} on; restore "${FILE}" from a backup`,
  )
}

async function ownersIn(area: string) {
  const names = existsSync(area) ? await readdir(area) : []
  return Promise.all(names.map((name) => lstat(join(area, name))))
}

/** Two directories with the same ids would end each other's builds and read each other's data. */
async function refuseCopy(claims: AccountClaims, base: number, directory: string): Promise<void> {
  const other = claims.holders.get(base)
  if (other === undefined || other === directory || !existsSync(other)) return
  // A damaged one may well have it.
  const held = await readAccountBase(other).catch(() => base)
  if (held !== base) return
  throw new OperationError(
    'start.accounts_taken',
    `Cannot use "${directory}": its builds and apps have the same user ids as those of "${other}", as copies do; remove one of the two, or move it to another machine`,
  )
}

async function chooseBase(
  claims: AccountClaims,
  directory: string,
  guess: (below: number) => number,
): Promise<number> {
  for (const [base, holder] of claims.holders) {
    // Ours was another directory of the same name.
    if (holder === directory || !existsSync(holder)) await claims.drop(base)
  }
  return chooseAccountBase(readIdFacts(claims.holders.keys()), guess)
}

function readIdFacts(claimed: Iterable<number>): IdFacts {
  const uidsOfProcesses = listPids().map((pid) => uidOfProcess(pid) ?? 0)
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '')
  return {
    mapped: ['/proc/self/uid_map', '/proc/self/gid_map'].map((path) =>
      parseRanges(read(path), 'map'),
    ),
    taken: [...uidsOfProcesses, ...parseIds(read('/etc/passwd')), ...parseIds(read('/etc/group'))],
    delegated: ['/etc/subuid', '/etc/subgid'].flatMap((path) =>
      parseRanges(read(path), 'subordinate'),
    ),
    claimed,
  }
}
