/** A browser of the tests: keeps cookies, says where its requests come from, and runs no script. */

export interface BrowserAnswer {
  status: number
  setCookies: string[]
  text: string
  /** What JSON the text is; `{}` for an empty one. */
  json: Record<string, unknown>
}

/** Sends one request to the API over the network, wherever that is. */
export type Transport = (
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | undefined,
) => Promise<{ status: number; setCookies: string[]; text: string }>

export interface Browser {
  /** What the API set, by name; as `document.cookie` would never show them. */
  cookies: Map<string, string>
  send(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<BrowserAnswer>
  /** The same; throws unless it succeeds. */
  must(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>
}

export function createBrowser(transport: Transport, origin: string): Browser {
  const cookies = new Map<string, string>()
  const send: Browser['send'] = async (method, path, body, headers = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await transport(
      method,
      path,
      {
        origin,
        'user-agent': 'test',
        ...(cookie === '' ? {} : { cookie }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body === undefined ? undefined : JSON.stringify(body),
    )
    for (const line of answer.setCookies) keep(cookies, line)
    return { ...answer, json: parse(answer.text) }
  }
  return {
    cookies,
    send,
    async must(method, path, body) {
      const { status, text, json } = await send(method, path, body)
      if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${text}`)
      return json
    },
  }
}

function keep(cookies: Map<string, string>, setCookie: string): void {
  const [pair = '', ...attributes] = setCookie.split(';').map((part) => part.trim())
  const equals = pair.indexOf('=')
  const name = pair.slice(0, equals)
  const gone = attributes.some((attribute) => /^max-age=0$/i.test(attribute))
  if (gone) cookies.delete(name)
  else cookies.set(name, pair.slice(equals + 1))
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** The session's cookie, whatever its prefix. */
export function sessionCookie(browser: Browser): string {
  for (const [name, value] of browser.cookies) if (name.endsWith('nanoscale.session')) return value
  throw new Error('Nobody is signed in in this browser')
}

/** The secret of a link: what stands after `#token=`. */
export function tokenOf(link: unknown): string {
  const [, token] = /#token=([\w-]+)/.exec(String(link)) ?? []
  if (token === undefined) throw new Error('There is no link with a token')
  return token
}
