import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { secureHeaders } from 'hono/secure-headers'

import type { RouteDefinition } from '../contract/route.ts'
import { ROUTES, type RouteId } from '../contract/routes.ts'
import { actorOf, type Principal } from '../identity/principal.ts'
import { messageOf } from '../lib/errors.ts'
import { createAdmission, credentialOf, type Admission, type Ask } from './admission.ts'
import { createClientAddress, type ClientAddress } from './client-address.ts'
import { answerOf, detailsOf, type ErrorAnswer } from './errors.ts'
import type { Handlers, RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { openApiOf } from './openapi-route.ts'
import { limitBody, readRawBody, requireJson } from './read-body.ts'
import { refuseNulInAddress, refuseNulInBody } from './refuse-nul.ts'
import type { RequestMetrics } from './request-metrics.ts'
import { isStream, respond, withinDeadline } from './respond.ts'
import { createStreamSlots, watchAccess, type StreamSlots } from './stream-access.ts'

/** `operator` comes only from the Unix socket's listener. */
export type Channel = 'operator' | 'network'

export interface ApiEnv {
  /** `address` is that of the connection's other end. */
  Bindings: { channel?: Channel; address?: string | null }
  Variables: {
    requestId: string
    address: string | null
    principal: Principal | null
    routeId: RouteId
  }
}

export type Api = OpenAPIHono<ApiEnv>

type AnyHandler = (input: object, request: RequestFacts) => Promise<unknown>

const DEADLINE_MS = 60_000

interface ApiOptions extends Pick<
  HttpApp,
  'db' | 'clock' | 'newId' | 'log' | 'config' | 'signIn' | 'clerkSessions'
> {
  metrics: Pick<RequestMetrics, 'record'>
  /** Aborts when the server stops, so that streams end. */
  stopping: AbortSignal
}

interface ApiDeps extends ApiOptions {
  admission: Admission
  clientAddress: ClientAddress
  streams: StreamSlots
}

/** The API as one Hono app: every route of the contract with its handler, behind authentication and validation. */
export function createApi(options: ApiOptions, handlers: Handlers): Api {
  const deps: ApiDeps = {
    ...options,
    admission: createAdmission(options),
    clientAddress: createClientAddress(options.config.trustedProxies),
    streams: createStreamSlots(),
  }
  const api: Api = new OpenAPIHono<ApiEnv>({
    defaultHook: (result, c) => {
      if (result.success) return undefined
      const details = detailsOf(result.error.issues)
      const [first] = Object.entries(details)
      const error = `Cannot accept ${first?.[0] ?? 'the request'}: ${first?.[1][0] ?? ''}`
      return c.json({ error, code: 'http.invalid', details }, 422)
    },
  })
  api.use(accessLog(deps))
  api.use(
    secureHeaders({
      xFrameOptions: 'DENY',
      referrerPolicy: 'no-referrer',
      // TLS ends in front of us or nowhere: the decision is the proxy's.
      strictTransportSecurity: false,
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        styleSrc: ["'unsafe-inline'"],
        scriptSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        // Forms are sent by the script alone, or passwords would stand in addresses.
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    }),
  )
  for (const id of Object.keys(ROUTES) as RouteId[]) {
    addRoute(deps, api, id, handlers[id] as unknown as AnyHandler)
  }
  api.notFound((c) => c.json({ error: 'Cannot find this page', code: 'http.not_found' }, 404))
  api.onError((error, c) => failure(deps, error, c))
  return api
}

function addRoute(deps: ApiDeps, api: Api, id: RouteId, handler: AnyHandler): void {
  const route: RouteDefinition = ROUTES[id]
  const admit: MiddlewareHandler<ApiEnv> = async (c, next) => {
    c.set('routeId', id)
    refuseNulInAddress(c.req.url)
    const { principal, renewedCookie } = await deps.admission.admit(askOf(id, c))
    c.set('principal', principal)
    await next()
    // A handler that gives or takes the session's cookie knows better.
    const renews = renewedCookie !== null && !c.res.headers.has('set-cookie')
    if (renews) c.header('set-cookie', renewedCookie)
  }
  // Whoever is not admitted cannot make us hold a body.
  const middleware = [admit]
  if (route.body !== undefined) middleware.push(limitBody)
  if (route.body !== undefined && route.body !== 'raw') middleware.push(requireJson)
  api.openapi(createRoute({ ...openApiOf(id, route), middleware }), (async (c: Context<ApiEnv>) => {
    const request = c.req as unknown as { valid(target: string): unknown }
    const input = {
      params: route.params === undefined ? undefined : request.valid('param'),
      query: route.query === undefined ? undefined : request.valid('query'),
      body: await bodyOf(route, c),
    }
    // Asked for the head alone: nobody would read the stream, and so nobody would end it.
    if (isStream(route) && c.req.method === 'HEAD') return new Response(null, { status: 200 })
    const facts = factsOf(deps, route, c)
    const tellFailure = (error: unknown) => answerAndLog(deps, error, c.get('requestId')).body
    if (isStream(route)) {
      const stream = openStream(deps, askOf(id, c), facts)
      const streamFacts = { ...facts, signal: stream.signal }
      try {
        const answer = await withinDeadline(handler(input, streamFacts), stream.signal)
        if (answer instanceof Response) stream.close()
        return respond(route, answer, { ...streamFacts, tellFailure, onEnd: stream.close })
      } catch (error) {
        stream.close()
        throw error
      }
    }
    const answer = await withinDeadline(handler(input, facts), facts.signal)
    return respond(route, answer, { ...facts, tellFailure, onEnd: () => {} })
  }) as never)
}

/** A stream is its reader's only as long as they may read it, and takes one of their slots. */
function openStream(deps: ApiDeps, ask: Ask, { principal, signal }: RequestFacts) {
  const limited = principal !== null && principal.kind !== 'operator'
  const release = limited ? deps.streams.take(credentialOf(principal)) : () => {}
  const ended = new AbortController()
  const open = AbortSignal.any([signal, ended.signal])
  const lost = watchAccess(deps.clock, () => deps.admission.confirm(ask, principal), open)
  const close = () => {
    release()
    ended.abort()
    signal.removeEventListener('abort', close)
  }
  // A client that goes before it reads anything ends no stream.
  signal.addEventListener('abort', close, { once: true })
  return { signal: AbortSignal.any([signal, lost]), close }
}

function askOf(routeId: RouteId, c: Context<ApiEnv>): Ask {
  return {
    routeId,
    channel: c.env?.channel ?? 'network',
    subjectId: c.req.param('id') ?? null,
    headers: c.req.raw.headers,
    address: c.get('address'),
    requestId: c.get('requestId'),
  }
}

async function bodyOf(route: RouteDefinition, c: Context<ApiEnv>): Promise<unknown> {
  if (route.body === undefined) return undefined
  if (route.body === 'raw') return await readRawBody(c)
  const body = (c.req as unknown as { valid(target: string): unknown }).valid('json')
  refuseNulInBody(body)
  return body
}

function factsOf(deps: ApiDeps, route: RouteDefinition, c: Context<ApiEnv>): RequestFacts {
  const signals = [c.req.raw.signal, deps.stopping]
  if (!isStream(route)) signals.push(AbortSignal.timeout(DEADLINE_MS))
  const accept = c.req.header('accept') ?? ''
  const principal = c.get('principal')
  const request = { address: c.get('address'), requestId: c.get('requestId') }
  return {
    ...request,
    headers: c.req.raw.headers,
    cookieHeader: c.req.header('cookie') ?? null,
    principal,
    actor:
      principal === null
        ? { kind: 'anonymous', id: null, name: null, ...request }
        : actorOf(principal, request),
    lastEventId: c.req.header('last-event-id') ?? null,
    prefersText: accept.includes('text/plain') && !accept.includes('text/event-stream'),
    signal: AbortSignal.any(signals),
  }
}

function accessLog(deps: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const requestId = deps.newId()
    const startedAt = deps.clock.now()
    c.set('requestId', requestId)
    const forwardedFor = c.req.header('x-forwarded-for') ?? null
    c.set('address', deps.clientAddress(c.env?.address ?? null, forwardedFor))
    await next()
    c.header('x-request-id', requestId)
    c.header('cache-control', 'no-store')
    const ms = deps.clock.now() - startedAt
    const { status } = c.res
    const routeId = c.get('routeId') ?? 'none'
    deps.metrics.record(routeId, status, ms)
    const principal = c.get('principal')
    const who = principal?.kind === 'token' ? principal.tokenId : (principal?.kind ?? null)
    const address = c.get('address')
    deps.log.info('Request', { requestId, routeId, path: c.req.path, status, ms, who, address })
  }
}

function failure(deps: ApiDeps, error: unknown, c: Context<ApiEnv>): Response {
  const answer = answerAndLog(deps, error, c.get('requestId'))
  if (answer.status === 401) c.header('www-authenticate', 'Bearer')
  if (answer.retryAfter !== undefined) c.header('retry-after', String(answer.retryAfter))
  return c.json(answer.body, answer.status)
}

function answerAndLog(deps: ApiDeps, error: unknown, requestId: string): ErrorAnswer {
  const answer = answerOf(error, requestId)
  if (answer.unexpected) {
    const stack = error instanceof Error ? error.stack : undefined
    deps.log.error('A request failed', { requestId, reason: messageOf(error), stack })
  }
  return answer
}
