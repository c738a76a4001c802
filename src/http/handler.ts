import type { Actor } from '../audit/actor.ts'
import type { RouteInput, RouteOutput } from '../contract/route.ts'
import type { RouteId, Routes } from '../contract/routes.ts'
import type { Membership, Principal } from '../identity/principal.ts'

/** What a handler may know of a request besides its validated input. */
export interface RequestFacts {
  /** Null on public routes alone, when nobody has signed in. */
  principal: Principal | null
  /** The same, as the audit names it. */
  actor: Actor
  requestId: string
  /** Of the client, as far as proxies that we trust tell; null over the operator's socket. */
  address: string | null
  headers: Headers
  cookieHeader: string | null
  /** Of the stream that a client resumes. */
  lastEventId: string | null
  /** The client wants text instead of events. */
  prefersText: boolean
  /** Aborts when the client is gone, the deadline passed or the server stops. */
  signal: AbortSignal
}

/** One server-sent event. `data` is sent as JSON; `text` is the same for clients that want text. */
export interface StreamEvent {
  id?: string
  event?: string
  data: unknown
  text?: string
}

/** A stream of events, read as long as the client is there. */
export interface EventAnswer {
  events: AsyncIterable<StreamEvent>
}

type Answer<Id extends RouteId> = Routes[Id]['response'] extends 'events' | 'lines'
  ? EventAnswer
  : Routes[Id]['response'] extends 'text' | 'html'
    ? string
    : Routes[Id]['response'] extends 'empty'
      ? void
      : RouteOutput<Routes[Id]>

export type Handler<Id extends RouteId> = (
  input: RouteInput<Routes[Id]>,
  request: RequestFacts,
) => Promise<Answer<Id> | Response>

/** One handler per route of the contract; a missing one does not compile. */
export type Handlers = { readonly [Id in RouteId]: Handler<Id> }

/** The organization of a request on a route that a role may use. */
export function organizationOf(request: RequestFacts): string {
  return membershipOf(request).organizationId
}

/** The person who asks, or who made the token that asks; null for the operator and the operator's tokens. */
export function askingPersonOf(request: RequestFacts): string | null {
  const { principal } = request
  return principal === null || principal.kind === 'operator' ? null : principal.userId
}

/** Where, as what, and with which projects somebody asks on a route that a role may use. */
export function membershipOf(request: RequestFacts): Membership {
  const membership = request.principal?.membership ?? null
  if (membership === null) throw new Error('A route of members was called without a membership')
  return membership
}
