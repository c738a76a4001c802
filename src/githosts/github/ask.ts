import { z } from 'zod'

import type { Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { GithubSite } from '../github-host.ts'
import { createRateLimits, type RateLimits } from './rate-limits.ts'
import { invalidAnswer, type Outgoing, type Received, type Transport } from './transport.ts'

const MAX_PAGES = 1000
const MAX_MESSAGE = 200

export interface Question {
  site: GithubSite
  /** The API unless said otherwise. */
  base?: 'web'
  method: Outgoing['method']
  path: string
  /** The value of the header, when somebody speaks. */
  authorization?: string
  ifNoneMatch?: string
  body?: object
  /** Whose rate limit it counts against. */
  limitedBy: string
}

export interface Answer {
  status: number
  /** Undefined without a body. */
  json: unknown
  etag: string | null
  /** The path of the next page, below the API's address. */
  next: string | null
  /** How far our clock is ahead of theirs; null when they do not tell. */
  skewMs: number | null
  host: string
}

/** Asks and gives back what is answered, whatever its status. */
export interface Asker {
  ask(question: Question, signal: AbortSignal): Promise<Answer>
  limits: RateLimits
}

/**
 * Speaks GitHub's REST dialect. Statuses that mean the same everywhere are thrown: `github.rate_limited`,
 * `github.unreachable` (5xx), `github.invalid_answer` (redirects, what is not JSON).
 */
export function createAsker(deps: {
  clock: Pick<Clock, 'now'>
  transport: Pick<Transport, 'send'>
}): Asker {
  const limits = createRateLimits(deps)
  const ask = async (question: Question, signal: AbortSignal): Promise<Answer> => {
    limits.check(question.limitedBy)
    const received = await deps.transport.send(toOutgoing(question), signal)
    limits.note(question.limitedBy, received)
    return toAnswer(question, received)
  }
  return { ask, limits }
}

function toOutgoing(question: Question): Outgoing {
  const { site, base = 'api', method, path, authorization, ifNoneMatch, body } = question
  return {
    site,
    base,
    method,
    path,
    headers: {
      'user-agent': 'NanoScale',
      accept: base === 'api' ? 'application/vnd.github+json' : 'application/json',
      ...(base === 'api' ? { 'x-github-api-version': '2022-11-28' } : {}),
      ...(authorization === undefined ? {} : { authorization }),
      ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }
}

function toAnswer(question: Question, received: Received): Answer {
  const { site, base } = question
  const { host } = new URL(base === 'web' ? site.webUrl : site.apiUrl)
  const { status, text, header, receivedAt } = received
  if (status >= 500) {
    throw new OperationError('github.unreachable', `Cannot ask "${host}": it answered ${status}`)
  }
  if (status >= 300 && status < 400 && status !== 304) {
    throw invalidAnswer(host, `it is a redirect (${status})`)
  }
  const date = Date.parse(header('date') ?? '')
  const answer = {
    status,
    json: text === '' || status === 304 ? undefined : readJson(host, status, text),
    etag: header('etag'),
    next: readNext(site, host, header('link')),
    skewMs: Number.isNaN(date) ? null : receivedAt - date,
    host,
  }
  // That something is gone must be said by GitHub, not by a proxy's page.
  if (status === 404 && base !== 'web' && messageIn(answer) === '') {
    throw invalidAnswer(host, 'it is 404, and not from GitHub')
  }
  return answer
}

function readJson(host: string, status: number, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    // A proxy's page says nothing that its status does not.
    if (status >= 400) return undefined
    throw invalidAnswer(host, 'it is not JSON', cause)
  }
}

/** A list is continued at the same API, or not at all. */
function readNext(site: GithubSite, host: string, link: string | null): string | null {
  const next = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '')?.[1]
  if (next === undefined) return null
  const url = URL.parse(next)
  if (url === null || !url.href.startsWith(`${site.apiUrl}/`) || url.hash !== '') {
    throw invalidAnswer(host, 'its next page is somewhere else')
  }
  return url.href.slice(site.apiUrl.length)
}

/** The answer's content, when its status is one of `statuses`; else throws what the status means. */
export function read<Schema extends z.ZodType>(
  action: string,
  answer: Answer,
  schema: Schema,
): z.output<Schema> {
  expectSuccess(action, answer)
  const parsed = schema.safeParse(answer.json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  // The path alone: values of an answer may be secret.
  const where = issue === undefined ? '' : ` at "${issue.path.map(String).join('.')}"`
  throw invalidAnswer(answer.host, `it is not what GitHub documents${where}`)
}

/** Throws `github.refused` and `github.not_found` for whatever is not 2xx. `action` continues "Cannot". */
export function expectSuccess(action: string, answer: Answer): void {
  if (answer.status < 200 || answer.status > 299) throw refusal(action, answer)
}

export function refusal(action: string, answer: Answer): OperationError {
  const { status } = answer
  const message = messageIn(answer)
  const said = message === '' ? '' : ` (${message})`
  const code = status === 404 || status === 410 ? 'github.not_found' : 'github.refused'
  return new OperationError(code, `Cannot ${action}: GitHub answered ${status}${said}`)
}

const errorShape = z.object({
  message: z.string().catch(''),
  errors: z.array(z.union([z.string(), z.object({ message: z.string() })]).catch('')).catch([]),
})

/** What an error says, as one line of limited length; it was written for people. */
export function messageIn({ json }: Answer): string {
  const parsed = errorShape.safeParse(json)
  if (!parsed.success) return ''
  const errors = parsed.data.errors.map((entry) =>
    typeof entry === 'string' ? entry : entry.message,
  )
  const text = [parsed.data.message, ...errors].filter((part) => part !== '').join('; ')
  return text.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').slice(0, MAX_MESSAGE)
}

/** Every page of a list that begins at `path`. `get` asks for one. */
export async function* paginate(
  path: string,
  get: (path: string) => Promise<Answer>,
): AsyncGenerator<Answer, void, undefined> {
  let next: string | null = path
  for (let page = 0; next !== null; page += 1) {
    const answer = await get(next)
    if (page === MAX_PAGES) throw invalidAnswer(answer.host, `it has more than ${MAX_PAGES} pages`)
    yield answer
    next = answer.next
  }
}
