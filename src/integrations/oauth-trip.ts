import {
  randomOauthValue,
  storeOauthState,
  takeOauthState,
  type OauthPurpose,
} from '../identity/oauth-states.ts'
import type { IntegrationDeps } from './integration-deps.ts'

/** Who leaves for GitHub: a person in the session of a browser. */
export interface Traveller {
  userId: string
  sessionId: string
}

type Deps = Pick<IntegrationDeps, 'db' | 'clock' | 'newId' | 'keyring'>

/** Notes a trip to GitHub that only this session can end; gives its state. */
export async function beginTrip(
  deps: Deps,
  trip: { purpose: OauthPurpose; traveller: Traveller; request: object; lifetimeMs: number },
): Promise<string> {
  const { purpose, traveller, request, lifetimeMs } = trip
  const { userId, sessionId: binding } = traveller
  const state = randomOauthValue()
  await storeOauthState(deps, { state, binding, userId, purpose, request, lifetimeMs })
  return state
}

/** What was noted when the trip began, once; undefined for every state that is not good here and now. */
export async function endTrip(
  deps: Pick<Deps, 'db' | 'clock' | 'keyring'>,
  trip: { purpose: OauthPurpose; traveller: Traveller; state: string | null },
): Promise<unknown> {
  const { purpose, traveller, state } = trip
  if (state === null) return undefined
  const { userId, sessionId: binding } = traveller
  const taken = await takeOauthState(deps, { state, binding, userId })
  const isMeant = taken?.purpose === purpose && taken.userId === userId
  return isMeant ? taken.request : undefined
}
