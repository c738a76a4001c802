import type { Answer } from './answer.ts'
import { ApiError } from './answer.ts'
import type { Github } from './github.ts'
import type { Call } from './router.ts'

const DEFAULT_PAGE = 30
const MAX_PAGE = 100

export function readPageSize(call: Call): number {
  const size = Number(call.query.get('per_page') ?? DEFAULT_PAGE)
  return Number.isInteger(size) && size > 0 ? Math.min(size, MAX_PAGE) : DEFAULT_PAGE
}

/** One page of a list, with the links to the others; `wrap` puts it where GitHub has it. */
export function page<Item>(
  github: Github,
  call: Call,
  items: readonly Item[],
  wrap: (items: readonly Item[], total: number) => unknown,
): Answer {
  const size = readPageSize(call)
  const number = Math.max(1, Math.trunc(Number(call.query.get('page') ?? 1)) || 1)
  const last = Math.max(1, Math.ceil(items.length / size))
  const links: string[] = []
  const link = (rel: string, to: number) => links.push(toLink(github, call, rel, 'page', to))
  if (number > 1) {
    link('prev', Math.min(number - 1, last))
  }
  if (number < last) {
    link('next', number + 1)
    link('last', last)
  }
  if (number > 1) link('first', 1)
  const shown = items.slice((number - 1) * size, number * size)
  return withLinks({ status: 200, body: { json: wrap(shown, items.length) } }, links)
}

/** One page of a list that is newest first, continued by a cursor. */
export function cursorPage<Item extends { id: number }>(
  github: Github,
  call: Call,
  items: readonly Item[],
  toJson: (item: Item) => unknown,
): Answer {
  const size = readPageSize(call)
  const cursor = call.query.get('cursor')
  const before = cursor === null ? Infinity : readCursor(cursor)
  const following = items.filter(({ id }) => id < before)
  const shown = following.slice(0, size)
  const end = shown.at(-1)
  const links: string[] = []
  if (end !== undefined && following.length > size) {
    links.push(toLink(github, call, 'next', 'cursor', `v1_${end.id}`))
  }
  return withLinks({ status: 200, body: { json: shown.map(toJson) } }, links)
}

function readCursor(cursor: string): number {
  const id = Number(/^v1_(\d+)$/.exec(cursor)?.[1])
  if (Number.isNaN(id)) throw new ApiError(400, 'Invalid cursor')
  return id
}

function toLink(
  github: Github,
  call: Call,
  rel: string,
  parameter: string,
  value: string | number,
): string {
  const query = new URLSearchParams(call.query)
  query.set(parameter, String(value))
  return `<${github.apiUrl}${call.path}?${query.toString()}>; rel="${rel}"`
}

function withLinks(answer: Answer, links: readonly string[]): Answer {
  return links.length === 0 ? answer : { ...answer, headers: { link: links.join(', ') } }
}
