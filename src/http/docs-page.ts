import { z } from 'zod'

import { PERMISSIONS } from '../contract/permissions.ts'
import type { RouteDefinition } from '../contract/route.ts'
import { ROUTES, type RouteId } from '../contract/routes.ts'
import { escapeHtml, page } from './page.ts'

const WHO = {
  everyone: 'everybody, without signing in',
  signedIn: 'everybody who is signed in',
  person: 'people who are signed in, not tokens',
  viewer: 'viewers and up',
  member: 'members and up',
  admin: 'admins and owners',
  owner: 'owners',
  operator: 'the operator, on the machine itself',
} as const

/** The API as a page, from the same route table as the server. */
export function docsPage(): string {
  const routes = Object.entries<RouteDefinition>(ROUTES)
  return page(
    'NanoScale API',
    `<h1>NanoScale API</h1>
<p>JSON in and out, field names in snake_case. Send <code>Authorization: Bearer nsk_…</code>; make a token with
<code>./nanoscale tokens create</code>. Lists come in pages: give <code>next_cursor</code> back as <code>cursor</code>.</p>
<p>A failure is <code>{ "error": sentence, "code": "room.reason", "details"?: { field: [messages] } }</code>. What does not
exist and what belongs to another organization are the same 404. Event streams are resumed with
<code>Last-Event-ID</code>; ask for <code>Accept: text/plain</code> to get them as text.</p>
<p>For tools: <a href="/api/openapi.json">OpenAPI 3.1</a>.</p>
<h2>Endpoints</h2>
${routes.map(([id, route]) => section(id as RouteId, route)).join('\n')}`,
  )
}

function section(id: RouteId, route: RouteDefinition): string {
  const { who, scope } = PERMISSIONS[id]
  const needed = scope === null ? '' : ` A token needs the scope <code>${scope}</code>.`
  const parts = [
    `<p>Allowed for ${WHO[who]}.${needed} Answers ${[route.status, ...route.errors].join(', ')}.</p>`,
    fields('Parameters', route.params),
    fields('Query', route.query),
    route.body === 'raw' ? '<p>Body: the bytes of the sender</p>' : fields('Body', route.body),
    typeof route.response === 'string'
      ? `<p>Answer: ${route.response}</p>`
      : fields('Answer', route.response),
  ]
  return `<details id="${escapeHtml(id)}"><summary><code>${route.method} ${escapeHtml(route.path)}</code> ${escapeHtml(
    route.summary,
  )}</summary>${parts.join('')}</details>`
}

interface Property {
  type?: string | string[]
  enum?: unknown[]
  description?: string
  anyOf?: Property[]
  items?: Property
}

function fields(title: string, schema: z.ZodType | undefined): string {
  if (schema === undefined) return ''
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  const required = new Set(json.required ?? [])
  const rows = Object.entries((json.properties ?? {}) as Record<string, Property>).map(
    ([name, property]) =>
      `<tr><td><code>${escapeHtml(name)}</code>${required.has(name) ? '' : ' (optional)'}</td>` +
      `<td>${escapeHtml(typeOf(property))}</td><td>${escapeHtml(property.description ?? '')}</td></tr>`,
  )
  return rows.length === 0 ? '' : `<h3>${title}</h3><table>${rows.join('')}</table>`
}

function typeOf(property: Property): string {
  if (property.enum !== undefined) return property.enum.map(String).join(' | ')
  if (property.anyOf !== undefined) return property.anyOf.map(typeOf).join(' | ')
  if (property.type === 'array') return `list of ${typeOf(property.items ?? {})}`
  return [property.type ?? 'any'].flat().join(' | ')
}
