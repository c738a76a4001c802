/** A JSON document together with where its members stand. */
export interface LocatedJson {
  value: unknown
  /** Line of a member of the top-level object, from 1; of the document itself when there is none of that name. */
  lineOf: (member: string) => number
}

export class JsonSyntaxError extends Error {
  override readonly name = 'JsonSyntaxError'
  readonly line: number
  readonly column: number

  constructor(reason: string, text: string, offset: number) {
    super(reason)
    const before = text.slice(0, offset).split('\n')
    this.line = before.length
    this.column = (before.at(-1)?.length ?? 0) + 1
  }
}

const MAX_DEPTH = 32
const TOKEN = {
  space: /[ \t\r\n]*/y,
  string: /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy,
  number: /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y,
  word: /true|false|null/y,
}

/**
 * Parses strict JSON, refuses members that are given twice, and says where things stand: `JSON.parse` tells neither.
 * Throws `JsonSyntaxError`.
 */
export function parseJsonWithLines(text: string): LocatedJson {
  const lines = new Map<string, number>()
  let at = 0
  const fail = (reason: string, offset = at): never => {
    throw new JsonSyntaxError(reason, text, offset)
  }
  const take = (kind: keyof typeof TOKEN): string | null => {
    const pattern = TOKEN[kind]
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0] ?? null
    at += found?.length ?? 0
    return found
  }
  const skip = (character: string): boolean => {
    take('space')
    if (text[at] !== character) return false
    at += 1
    take('space')
    return true
  }
  const parseObject = (depth: number): Record<string, unknown> => {
    const members = new Map<string, unknown>()
    if (skip('}')) return {}
    do {
      const start = at
      const key = take('string') ?? fail('a name in double quotes is expected here')
      const name = JSON.parse(key) as string
      if (members.has(name)) fail(`"${name}" is given twice`, start)
      if (depth === 0) lines.set(name, text.slice(0, start).split('\n').length)
      if (!skip(':')) fail(`":" is expected after "${name}"`)
      members.set(name, parseValue(depth + 1))
    } while (skip(','))
    if (!skip('}')) fail('"," or "}" is expected here')
    return Object.fromEntries(members)
  }
  const parseArray = (depth: number): unknown[] => {
    const items: unknown[] = []
    if (skip(']')) return items
    do items.push(parseValue(depth + 1))
    while (skip(','))
    if (!skip(']')) fail('"," or "]" is expected here')
    return items
  }
  const parseValue = (depth: number): unknown => {
    if (depth > MAX_DEPTH) fail('it is nested too deeply')
    if (skip('{')) return parseObject(depth)
    if (skip('[')) return parseArray(depth)
    const token = take('string') ?? take('number') ?? take('word')
    if (token === null || token === '') return fail(unexpected(text, at))
    return JSON.parse(token)
  }
  take('space')
  const value = parseValue(0)
  take('space')
  if (at < text.length) fail(unexpected(text, at))
  return { value, lineOf: (member) => lines.get(member) ?? 1 }
}

function unexpected(text: string, at: number): string {
  return at >= text.length
    ? 'it ends too early'
    : `${JSON.stringify(text[at])} is not expected here`
}
