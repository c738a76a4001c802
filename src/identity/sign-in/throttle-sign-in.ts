import { createHash } from 'node:crypto'

import type { Database, Tx } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import { planAttempt, type ThrottleRule } from './plan-attempt.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const GROWING: ThrottleRule = {
  kind: 'waits',
  free: 5,
  longestMs: 15 * MINUTE_MS,
  forgottenAfterMs: DAY_MS,
}
/** Of one network, over all accounts. */
const OF_NETWORK: ThrottleRule = { kind: 'window', limit: 30, windowMs: 15 * MINUTE_MS }
/** Of one account, from everywhere. */
const OF_ACCOUNT: ThrottleRule = { kind: 'window', limit: 100, windowMs: HOUR_MS }
const OF_MAIL: ThrottleRule = { kind: 'window', limit: 3, windowMs: 15 * MINUTE_MS }

/** Who tries to sign in as whom. */
export interface SignInAttempt {
  /** As it was typed: an address that nobody has is throttled like any other. */
  email: string
  /** A network instead of an address where one client has many; null over the operator's socket. */
  network: string | null
  /** The browser's id, when it signed in to this account before. */
  knownBrowserId: string | null
}

export interface CountedAttempt {
  /** The password was right: puts right what was counted as a failure, and forgets those before it. */
  succeeded(): Promise<void>
  /** No password was checked: everything is as before, and nothing is forgotten. */
  unchecked(): Promise<void>
  /** The next attempts have to wait, or are refused, because of this one. */
  waitBegins: boolean
}

/**
 * Counts an attempt before the password is checked. Throws `auth.throttled` when one has to wait. Whatever others fail at,
 * on this account or from this network, browsers that signed in to the account before get through, with waits of their
 * own: whoever knows nothing but an address cannot lock its owner out, not even from the same office.
 */
export async function countAttempt(
  deps: { db: Database; clock: Clock },
  attempt: SignInAttempt,
): Promise<CountedAttempt> {
  const account = shortHash(attempt.email.trim().toLowerCase())
  const network = shortHash(attempt.network ?? 'operator')
  const browser = attempt.knownBrowserId
  const limits =
    browser === null
      ? [
          { key: `account.${account}`, rule: OF_ACCOUNT },
          { key: `pair.${account}.${network}`, rule: GROWING },
          { key: `network.${network}`, rule: OF_NETWORK },
        ]
      : [{ key: `browser.${account}.${shortHash(browser)}`, rule: GROWING }]
  const { waitBegins, at } = await take(deps, limits)
  return {
    waitBegins,
    succeeded: () => takeBack(deps, limits, { checked: true }),
    unchecked: () => takeBack(deps, limits, { checked: false, at }),
  }
}

/** Whether a mail to this address may be asked for from this network now. */
export async function mayAskForMail(
  deps: { db: Database; clock: Clock },
  email: string,
  network: string | null,
): Promise<boolean> {
  const account = shortHash(email.trim().toLowerCase())
  const limits = [
    { key: `mail.${account}`, rule: OF_MAIL },
    { key: `mails.${shortHash(network ?? 'operator')}`, rule: OF_NETWORK },
  ]
  try {
    await take(deps, limits)
    return true
  } catch (error) {
    if (error instanceof OperationError) return false
    throw error
  }
}

/** Forgets the failures of one account: after its password was changed. */
export async function clearThrottles(tx: Tx | Database, email: string): Promise<void> {
  const account = shortHash(email)
  await tx
    .deleteFrom('sign_in_throttles')
    .where((eb) =>
      eb.or([
        eb('key_hash', '=', `account.${account}`),
        eb('key_hash', 'like', `pair.${account}.%`),
        eb('key_hash', 'like', `browser.${account}.%`),
      ]),
    )
    .execute()
}

interface Limit {
  key: string
  rule: ThrottleRule
}

async function take(
  deps: { db: Database; clock: Clock },
  limits: Limit[],
): Promise<{ waitBegins: boolean; at: number }> {
  const now = deps.clock.now()
  return await inTransaction(deps.db, async (tx) => {
    const plans = []
    // In one order everywhere: two that lock the same rows wait for one another, not both for ever.
    for (const { key, rule } of limits.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
      plans.push({ key, plan: planAttempt(rule, await lock(tx, key, now), now) })
    }
    const refusals = plans.flatMap(({ plan }) => (plan.kind === 'refused' ? [plan.until] : []))
    if (refusals.length > 0) throw throttled(Math.max(...refusals) - now)
    let waitBegins = false
    for (const { key, plan } of plans) {
      if (plan.kind === 'refused') continue
      waitBegins ||= plan.waitBegins
      const { failures, blockedUntil, updatedAt } = plan.next
      await tx
        .updateTable('sign_in_throttles')
        .set({
          failures,
          blocked_until: blockedUntil === null ? null : toIsoTime(blockedUntil),
          updated_at: toIsoTime(updatedAt),
        })
        .where('key_hash', '=', key)
        .execute()
    }
    return { waitBegins, at: now }
  })
}

/** Reads a row, made if it is missing, and keeps others from it until the transaction ends. */
async function lock(tx: Tx, key: string, now: number) {
  const row = await tx
    .insertInto('sign_in_throttles')
    .values({ key_hash: key, failures: 0, blocked_until: null, updated_at: toIsoTime(now) })
    .onConflict((conflict) =>
      conflict.column('key_hash').doUpdateSet((eb) => ({ key_hash: eb.ref('excluded.key_hash') })),
    )
    .returningAll()
    .executeTakeFirstOrThrow()
  return {
    failures: row.failures,
    blockedUntil: row.blocked_until === null ? null : Date.parse(row.blocked_until),
    updatedAt: Date.parse(row.updated_at),
  }
}

async function takeBack(
  { db }: { db: Database },
  limits: Limit[],
  attempt: { checked: true } | { checked: false; at: number },
): Promise<void> {
  await inTransaction(db, async (tx) => {
    for (const { key, rule } of limits.toSorted((a, b) => (a.key < b.key ? -1 : 1))) {
      if (rule.kind === 'waits' && attempt.checked) {
        await tx.deleteFrom('sign_in_throttles').where('key_hash', '=', key).execute()
        continue
      }
      // The wait that this very attempt began ends, unless somebody failed since.
      if (rule.kind === 'waits' && !attempt.checked) {
        await tx
          .updateTable('sign_in_throttles')
          .set({ blocked_until: null })
          .where('key_hash', '=', key)
          .where('updated_at', '=', toIsoTime(attempt.at))
          .execute()
      }
      await tx
        .updateTable('sign_in_throttles')
        .set((eb) => ({ failures: eb('failures', '-', 1) }))
        .where('key_hash', '=', key)
        .where('failures', '>', 0)
        .execute()
    }
  })
}

function throttled(waitMs: number): OperationError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000))
  const wait = seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} minutes`
  return new OperationError(
    'auth.throttled',
    `Cannot check a password now: too many were wrong. Try again in ${wait}`,
    { retryAfterSeconds: seconds },
  )
}

/** 128 bits are plenty to tell accounts and networks apart. */
function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
