import type { ActorKind } from '../database/schema.ts'

/** Who did something, as the audit tells it. Names are those of the moment. */
export interface Actor {
  kind: ActorKind
  id: string | null
  name: string | null
  /** Where the request came from; null for what did not come over a network. */
  address: string | null
  requestId: string | null
}

/** Who runs commands at the machine itself, without a server between. */
export const OPERATOR: Actor = {
  kind: 'operator',
  id: null,
  name: null,
  address: null,
  requestId: null,
}

/** What NanoScale does by itself: deployments after a push, sweeps. */
export const SYSTEM: Actor = {
  kind: 'system',
  id: null,
  name: null,
  address: null,
  requestId: null,
}
