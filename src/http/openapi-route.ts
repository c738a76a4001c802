import type { RouteConfig } from '@hono/zod-openapi'

import { errorBody } from '../contract/common.ts'
import { PERMISSIONS } from '../contract/permissions.ts'
import type { RouteDefinition } from '../contract/route.ts'
import type { RouteId } from '../contract/routes.ts'

type Body = NonNullable<NonNullable<RouteConfig['request']>['body']>

/** A route as the OpenAPI document tells it; validation of requests follows from it too. */
export function openApiOf(id: RouteId, route: RouteDefinition): RouteConfig {
  const open = PERMISSIONS[id].who === 'everyone'
  return {
    method: route.method.toLowerCase() as 'get',
    path: route.path,
    operationId: id,
    summary: route.summary,
    ...(open ? {} : { security: [{ token: [] }, { session: [] }] }),
    request: {
      ...(route.params === undefined ? {} : { params: route.params }),
      ...(route.query === undefined ? {} : { query: route.query }),
      ...(route.body === undefined ? {} : { body: bodyOf(route.body) }),
    },
    responses: {
      [route.status]: successOf(route),
      ...Object.fromEntries(failuresOf(id, route).map((status) => [status, failureOf(status)])),
    },
  }
}

function bodyOf(body: NonNullable<RouteDefinition['body']>): Body {
  const raw = { 'application/octet-stream': { schema: { type: 'string' as const } } }
  const content = body === 'raw' ? raw : { 'application/json': { schema: body } }
  return { required: true, content }
}

function failuresOf(id: RouteId, route: RouteDefinition): number[] {
  const { who, subject } = PERMISSIONS[id]
  const statuses = new Set([...route.errors, 429, 500])
  if (who !== 'everyone') statuses.add(401)
  if (who !== 'everyone' && who !== 'signedIn') statuses.add(403)
  if (subject !== null) statuses.add(404)
  if (route.method !== 'GET') statuses.add(403)
  if (route.body !== undefined) statuses.add(413)
  if (route.body !== undefined && route.body !== 'raw') statuses.add(415).add(422)
  if (route.query !== undefined) statuses.add(422)
  return [...statuses].toSorted((a, b) => a - b)
}

function failureOf(status: number) {
  return {
    description: `Error ${status}`,
    content: { 'application/json': { schema: errorBody } },
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
    case 'lines':
      return { description, content: { 'application/x-ndjson': plain } }
    default:
      return { description, content: { 'application/json': { schema: route.response } } }
  }
}
