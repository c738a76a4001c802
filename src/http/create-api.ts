import { createRoute, OpenAPIHono, type RouteConfig } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { secureHeaders } from 'hono/secure-headers'

import { errorBody } from '../contract/common.ts'
import { PERMISSIONS } from '../contract/permissions.ts'
import type { RouteDefinition } from '../contract/route.ts'
import { ROUTES, type RouteId } from '../contract/routes.ts'
import { authenticate } from '../identity/authenticate.ts'
import { actorOf, type Principal } from '../identity/principal.ts'
import { messageOf, OperationError } from '../lib/errors.ts'
import { answerOf, detailsOf, type ErrorAnswer } from './errors.ts'
import { streamResponse } from './event-stream.ts'
import type { EventAnswer, Handlers, RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import type { RequestMetrics } from './request-metrics.ts'

/** `operator` comes only from the Unix socket's listener. */
export type Channel = 'operator' | 'network'

export interface ApiEnv {
  Bindings: { channel?: Channel }
  Variables: { requestId: string; principal: Principal | null; routeId: RouteId }
}

export type Api = OpenAPIHono<ApiEnv>

type AnyHandler = (input: object, request: RequestFacts) => Promise<unknown>

const MAX_BODY_BYTES = 1_048_576
const DEADLINE_MS = 60_000

interface ApiDeps extends Pick<HttpApp, 'db' | 'clock' | 'newId' | 'log'> {
  metrics: Pick<RequestMetrics, 'record'>
  /** Aborts when the server stops, so that streams end. */
  stopping: AbortSignal
}

/** The API as one Hono app: every route of the contract with its handler, behind authentication and validation. */
export function createApi(deps: ApiDeps, handlers: Handlers): Api {
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
      contentSecurityPolicy: { defaultSrc: ["'none'"], styleSrc: ["'unsafe-inline'"] },
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
    c.set('principal', await principalOf(deps, id, c))
    await next()
  }
  // Whoever is not admitted cannot make us hold a body.
  const middleware = route.body === undefined ? [admit] : [admit, limitBody]
  api.openapi(createRoute({ ...openApiOf(id, route), middleware }), (async (c: Context<ApiEnv>) => {
    const request = c.req as unknown as { valid(target: string): unknown }
    const input = {
      params: route.params === undefined ? undefined : request.valid('param'),
      query: route.query === undefined ? undefined : request.valid('query'),
      body: route.body === undefined ? undefined : request.valid('json'),
    }
    const facts = factsOf(deps, route, c)
    const answer = await withinDeadline(handler(input, facts), facts.signal)
    const tellFailure = (error: unknown) => answerAndLog(deps, error, c.get('requestId')).body
    return respond(route, answer, { ...facts, tellFailure })
  }) as never)
}

const limitBody: MiddlewareHandler<ApiEnv> = bodyLimit({
  maxSize: MAX_BODY_BYTES,
  onError: () => {
    const limit = MAX_BODY_BYTES / 1024
    throw new OperationError('http.too_large', `Cannot read the body: it is over ${limit} KiB`)
  },
})

async function principalOf(
  deps: ApiDeps,
  id: RouteId,
  c: Context<ApiEnv>,
): Promise<Principal | null> {
  const { who } = PERMISSIONS[id]
  if (who === 'everyone') return null
  const principal = await authenticate(deps, {
    channel: c.env?.channel ?? 'network',
    authorization: c.req.header('authorization'),
    organizationSlug: c.req.header('x-nanoscale-organization'),
  })
  if (principal === null) {
    c.header('www-authenticate', 'Bearer')
    throw new OperationError(
      'http.unauthorized',
      'Cannot tell who asks: send "Authorization: Bearer nsk_…" with a valid API token',
    )
  }
  if (who === 'operator' && principal.kind !== 'operator') {
    throw new OperationError(
      'http.forbidden',
      'Cannot do this with an API token: run the command on the machine of NanoScale itself',
    )
  }
  return principal
}

function factsOf(deps: ApiDeps, route: RouteDefinition, c: Context<ApiEnv>): RequestFacts {
  const signals = [c.req.raw.signal, deps.stopping]
  if (route.response !== 'events') signals.push(AbortSignal.timeout(DEADLINE_MS))
  const accept = c.req.header('accept') ?? ''
  const principal = c.get('principal')
  const request = { address: null, requestId: c.get('requestId') }
  return {
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

async function withinDeadline<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => {
    aborted.reject(new OperationError('http.deadline', 'Cannot answer in time: try again'))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

interface Respondent extends RequestFacts {
  tellFailure: (error: unknown) => { error: string }
}

function respond(route: RouteDefinition, answer: unknown, facts: Respondent): Response {
  if (answer instanceof Response) return answer
  const { status } = route
  switch (route.response) {
    case 'empty':
      return new Response(null, { status })
    case 'text':
      return text(String(answer), 'text/plain; version=0.0.4; charset=utf-8')
    case 'html':
      return text(String(answer), 'text/html; charset=utf-8')
    case 'events':
      return streamResponse((answer as EventAnswer).events, {
        signal: facts.signal,
        format: facts.prefersText ? 'text' : 'events',
        tellFailure: facts.tellFailure,
      })
    default:
      return Response.json(answer, { status })
  }
}

function text(content: string, contentType: string): Response {
  return new Response(content, { headers: { 'content-type': contentType } })
}

function accessLog(deps: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const requestId = deps.newId()
    const startedAt = deps.clock.now()
    c.set('requestId', requestId)
    await next()
    c.header('x-request-id', requestId)
    c.header('cache-control', 'no-store')
    const ms = deps.clock.now() - startedAt
    const { status } = c.res
    const routeId = c.get('routeId') ?? 'none'
    deps.metrics.record(routeId, status, ms)
    const principal = c.get('principal')
    const who = principal?.kind === 'token' ? principal.tokenId : (principal?.kind ?? null)
    deps.log.info('Request', { requestId, routeId, path: c.req.path, status, ms, who })
  }
}

function failure(deps: ApiDeps, error: unknown, c: Context<ApiEnv>): Response {
  const answer = answerAndLog(deps, error, c.get('requestId'))
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

function openApiOf(id: RouteId, route: RouteDefinition): RouteConfig {
  const error = (description: string) => ({
    description,
    content: { 'application/json': { schema: errorBody } },
  })
  const statuses = [...route.errors, 500]
  const open = PERMISSIONS[id].who === 'everyone'
  if (!open) statuses.push(401)
  if (route.body !== undefined || route.query !== undefined) statuses.push(422)
  return {
    method: route.method.toLowerCase() as 'get',
    path: route.path,
    operationId: id,
    summary: route.summary,
    ...(open ? {} : { security: [{ token: [] }] }),
    request: {
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.body === undefined
        ? {}
        : { body: { required: true, content: { 'application/json': { schema: route.body } } } }),
    },
    responses: {
      [route.status]: successOf(route),
      ...Object.fromEntries(statuses.map((status) => [status, error(`Error ${status}`)])),
    },
  }
}

function successOf(route: RouteDefinition): RouteConfig['responses'][string] {
  const description = route.summary
  const plain = { schema: { type: 'string' as const } }
  switch (route.response) {
    case 'empty':
      return { description }
    case 'text':
      return { description, content: { 'text/plain': plain } }
    case 'html':
      return { description, content: { 'text/html': plain } }
    case 'events':
      return { description, content: { 'text/event-stream': plain, 'text/plain': plain } }
    default:
      return { description, content: { 'application/json': { schema: route.response } } }
  }
}
