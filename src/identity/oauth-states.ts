import { createHash, randomBytes } from 'node:crypto'

import type { Database } from '../database/database.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'

/** How long somebody may take at the other site, unless said otherwise. */
export const OAUTH_STATE_MS = 10 * 60 * 1000

export type OauthPurpose =
  | 'oidc.sign_in'
  | 'oidc.link'
  | 'github.start'
  | 'github.setup'
  | 'github.manifest'

interface OauthStateDeps {
  db: Database
  clock: Pick<Clock, 'now'>
  newId: NewId
  keyring: Pick<Keyring, 'seal' | 'open'>
}

/** What ties a trip to another site to who began it. */
interface OauthTrip {
  /** As the other site gives it back; only its hash is stored. */
  state: string
  /** Of a cookie that only the browser has which began the trip, or the id of its session. */
  binding: string
  /** Who is signed in; null when nobody is, or it does not matter. */
  userId: string | null
}

/** 32 random bytes for an address or a cookie. */
export function randomOauthValue(): string {
  return randomBytes(32).toString('base64url')
}

/** Notes that somebody leaves for another site with `request`. */
export async function storeOauthState(
  deps: OauthStateDeps,
  trip: OauthTrip & { purpose: OauthPurpose; request: object; lifetimeMs?: number },
): Promise<void> {
  const id = deps.newId()
  const now = deps.clock.now()
  await deps.db
    .insertInto('oauth_states')
    .values({
      id,
      state_hash: hashOf(trip.state),
      purpose: trip.purpose,
      binding_hash: hashOf(trip.binding),
      user_id: trip.userId,
      request_sealed: deps.keyring.seal(JSON.stringify(trip.request), contextOf(id)),
      created_at: toIsoTime(now),
      expires_at: toIsoTime(now + (trip.lifetimeMs ?? OAUTH_STATE_MS)),
      used_at: null,
    })
    .execute()
}

/**
 * Ends the trip, once: one statement decides, so of two callbacks only one gets its `request`. Undefined for a state
 * that is unknown, used or expired, that another browser began, or another person than who is signed in.
 */
export async function takeOauthState(
  deps: Pick<OauthStateDeps, 'db' | 'clock' | 'keyring'>,
  trip: OauthTrip,
): Promise<{ purpose: string; userId: string | null; request: unknown } | undefined> {
  const now = toIsoTime(deps.clock.now())
  const row = await deps.db
    .updateTable('oauth_states')
    .set({ used_at: now })
    .where('state_hash', '=', hashOf(trip.state))
    .where('binding_hash', '=', hashOf(trip.binding))
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .where((of) => {
      const anybody = of('user_id', 'is', null)
      return trip.userId === null ? anybody : of.or([anybody, of('user_id', '=', trip.userId)])
    })
    .returning(['id', 'purpose', 'user_id', 'request_sealed'])
    .executeTakeFirst()
  if (row === undefined) return undefined
  const request: unknown = JSON.parse(
    deps.keyring.open(row.request_sealed, contextOf(row.id)).reveal(),
  )
  return { purpose: row.purpose, userId: row.user_id, request }
}

function hashOf(value: string): string {
  return createHash('sha256').update(value).digest('hex')
}

function contextOf(rowId: string) {
  return {
    organizationId: INSTANCE,
    table: 'oauth_states',
    column: 'request_sealed',
    rowId,
  }
}
