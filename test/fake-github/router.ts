import type { Actor } from './access.ts'
import type { Answer } from './answer.ts'
import { ApiError } from './answer.ts'
import type { Github } from './github.ts'

/** A request as handlers see it. */
export interface Call {
  /** As it was asked: what faults with `only` look at. */
  readonly line: string
  readonly method: string
  /** Without the API's prefix. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Of a JSON body, or a form's fields. */
  readonly body: Readonly<Record<string, unknown>>
  readonly actor: Actor
}

type Handler = (github: Github, call: Call) => Answer | Promise<Answer>

export interface Route {
  readonly method: string
  /** `:name` is one segment, `:name+` one or more. */
  readonly pattern: string
  readonly handler: Handler
}

/** `['GET /repos/:owner/:repo', handler]` for each endpoint of a part. */
export function toRoutes(table: Readonly<Record<string, Handler>>): Route[] {
  return Object.entries(table).map(([line, handler]) => {
    const [method = '', pattern = ''] = line.split(' ')
    return { method, pattern, handler }
  })
}

export interface Match {
  handler: Handler
  params: Record<string, string>
}

export type Find = (method: string, path: string) => Match | null

export function createRouter(routes: readonly Route[]): Find {
  const compiled = routes.map((route) => ({ ...route, expression: toExpression(route.pattern) }))
  return (method, path) => {
    for (const { method: ours, expression, handler } of compiled) {
      if (ours !== method && !(ours === 'GET' && method === 'HEAD')) continue
      const groups = expression.exec(path)?.groups
      if (groups !== undefined) return { handler, params: decodeAll(groups) }
    }
    return null
  }
}

function toExpression(pattern: string): RegExp {
  const source = pattern.replaceAll('.', '\\.').replace(/:(\w+)(\+?)/g, (_all, name, many) => {
    return many === '+' ? `(?<${name}>.+)` : `(?<${name}>[^/]+)`
  })
  // The empty group makes `groups` exist for patterns without parameters.
  return new RegExp(`^(?<_>)${source}$`)
}

function decodeAll(groups: Record<string, string>): Record<string, string> {
  const entries = Object.entries(groups).map(([name, value]) => [name, decodeSegment(value)])
  return Object.fromEntries(entries)
}

function decodeSegment(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new ApiError(400, 'Bad Request')
  }
}

/** A text field of the body, or null when it is missing. */
export function readText(body: Call['body'], name: string): string | null {
  const value = body[name]
  if (typeof value === 'string') return value
  return typeof value === 'number' ? String(value) : null
}

export function readTexts(value: unknown): string[] | null {
  if (!Array.isArray(value)) return null
  return value.every((item) => typeof item === 'string') ? value : null
}

export function readObject(value: unknown): Readonly<Record<string, unknown>> | null {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject ? (value as Record<string, unknown>) : null
}

export function readId(call: Call, name: string): number {
  const id = Number(call.params[name])
  if (!Number.isSafeInteger(id)) throw new ApiError(404, 'Not Found')
  return id
}
