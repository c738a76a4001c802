import type { z } from 'zod'

/**
 * What a route answers with: JSON of a schema, nothing, a page or text, server-sent events (the same lines as text for
 * `Accept: text/plain`), or lines of JSON without end (NDJSON).
 */
export type RouteResponse = z.ZodType | 'empty' | 'text' | 'html' | 'events' | 'lines'

/** One endpoint of the HTTP API. The server, the OpenAPI document and the CLI are made from these. */
export interface RouteDefinition {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With parameters as `{name}`. */
  readonly path: string
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  /** `raw`: the bytes as they came, at most 1 MiB, for signatures over them. */
  readonly body?: z.ZodObject | 'raw'
  readonly response: RouteResponse
  /** Of the answer when it succeeds. */
  readonly status: 200 | 201 | 202 | 204 | 303
  /** Statuses that it may answer with besides 401, 422 and 500. */
  readonly errors: readonly number[]
}

type Raw<Schema> = Schema extends 'raw' ? Uint8Array : undefined
type Parsed<Schema> = Schema extends z.ZodType ? z.output<Schema> : Raw<Schema>
type Given<Schema> = Schema extends z.ZodType ? z.input<Schema> : Raw<Schema>

/** What a handler of the route is given, after validation. */
export interface RouteInput<Route extends RouteDefinition> {
  params: Parsed<Route['params']>
  query: Parsed<Route['query']>
  body: Parsed<Route['body']>
}

/** What a client of the route sends. */
export interface RouteRequest<Route extends RouteDefinition> {
  params: Given<Route['params']>
  query: Given<Route['query']>
  body: Given<Route['body']>
}

/** What a route answers with: a value for JSON, nothing otherwise. */
export type RouteOutput<Route extends RouteDefinition> = Route['response'] extends z.ZodType
  ? z.output<Route['response']>
  : undefined
