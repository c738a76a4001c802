import type { RouteDefinition, RouteOutput, RouteRequest } from '../../contract/route.ts'
import { ROUTES, type RouteId, type Routes } from '../../contract/routes.ts'

/** What a person has open: it keeps cookies, and runs no script. */
export interface DemoBrowser {
  /** What a page of NanoScale asks of its API; throws what it refused. */
  call<Id extends RouteId>(
    id: Id,
    input?: Partial<Pick<RouteRequest<Routes[Id]>, 'body' | 'query'>>,
  ): Promise<RouteOutput<Routes[Id]>>
  /** Follows a link to NanoScale, and tells where it leads on to. */
  open(url: string): Promise<string | null>
}

const TIMEOUT_MS = 20_000

/** A browser at the NanoScale of `origin`. */
export function createDemoBrowser(origin: string): DemoBrowser {
  const cookies = new Map<string, string>()
  const send = async (method: string, url: string, body?: unknown) => {
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        origin,
        connection: 'close',
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    for (const line of response.headers.getSetCookie()) keep(cookies, line)
    const content = await response.text()
    if (response.status < 400) return { response, content }
    throw new Error(`${method} ${new URL(url).pathname} answered ${response.status}: ${content}`)
  }
  return {
    call: async (id, input = {}) => {
      const route: RouteDefinition = ROUTES[id]
      const url = new URL(route.path, origin)
      for (const [name, value] of Object.entries(input.query ?? {})) {
        url.searchParams.set(name, String(value))
      }
      const { content } = await send(route.method, url.href, input.body)
      return (typeof route.response === 'string' ? undefined : JSON.parse(content)) as never
    },
    open: async (url) => (await send('GET', url)).response.headers.get('location'),
  }
}

function keep(cookies: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
  const [name = ''] = pair.split('=', 1)
  if (attributes.some((attribute) => /^max-age=0$/i.test(attribute))) cookies.delete(name)
  else cookies.set(name, pair.slice(name.length + 1))
}
