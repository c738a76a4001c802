import { REDACTED, Secret } from '../lib/secret.ts'
import { formsOf, SHORTEST_FORM } from './secret-forms.ts'

/** Removes secrets from text by their value, whatever form they were printed in. */
export interface Redactor {
  /** From now on, also in streams that are open. Values under 6 characters are ignored. */
  add(value: string | Secret): void
  /** For a value that opens nothing any more. */
  remove(value: string | Secret): void
  redact(text: string): string
  /** For text that arrives in pieces: a secret that lies across several of them is found too. */
  stream(): RedactedStream
}

export interface RedactedStream {
  /** Returns what can be given out by now: an end that may begin a secret is kept back until it is decided. */
  write(chunk: string): string
  end(): string
}

export function createRedactor(): Redactor {
  const forms = new Set<string>()
  let changes = 0
  let matcher: Matcher = {
    version: 0,
    pattern: null,
    byPrefix: new Map(),
    byFirst: new Map(),
    longest: 0,
  }
  const current = (): Matcher => {
    if (matcher.version !== changes) matcher = createMatcher(forms, changes)
    return matcher
  }
  return {
    add: (value) => {
      const before = forms.size
      for (const form of formsOf(textOf(value))) forms.add(form)
      if (forms.size !== before) changes += 1
    },
    remove: (value) => {
      for (const form of formsOf(textOf(value))) forms.delete(form)
      changes += 1
    },
    redact: (text) => cover(text, findSecrets(current(), text, 0), text.length, 0).text,
    stream: () => createStream(current),
  }
}

function textOf(value: string | Secret): string {
  return value instanceof Secret ? value.reveal() : value
}

interface Matcher {
  /** How often the forms had changed when it was made. */
  version: number
  /**
   * Finds where a form may begin: the first characters of all of them, as one alternation. The whole forms would be
   * faster by nothing, and too large for the engine with a few dozen private keys.
   */
  pattern: RegExp | null
  byPrefix: Map<string, string[]>
  byFirst: Map<string, string[]>
  longest: number
}

function createMatcher(forms: ReadonlySet<string>, version: number): Matcher {
  // Longest first, so that the first that fits is the one that covers most.
  const sorted = [...forms].sort((a, b) => b.length - a.length)
  const byPrefix = Map.groupBy(sorted, (form) => form.slice(0, SHORTEST_FORM))
  const byFirst = Map.groupBy(sorted, (form) => form.charAt(0))
  const alternatives = [...byPrefix.keys()].map((prefix) => RegExp.escape(prefix))
  return {
    version,
    pattern: sorted.length === 0 ? null : new RegExp(alternatives.join('|'), 'g'),
    byPrefix,
    byFirst,
    longest: sorted[0]?.length ?? 0,
  }
}

interface Span {
  start: number
  end: number
}

/** Where secrets are, overlapping ones as one span: else the end of the second would stay. `covered`: known to be one. */
function findSecrets(matcher: Matcher, text: string, covered: number): Span[] {
  const spans: Span[] = covered > 0 ? [{ start: 0, end: covered }] : []
  if (matcher.pattern === null) return spans
  matcher.pattern.lastIndex = 0
  for (let match = matcher.pattern.exec(text); match !== null; match = matcher.pattern.exec(text)) {
    const start = match.index
    matcher.pattern.lastIndex = start + 1
    const form = matcher.byPrefix
      .get(match[0])
      ?.find((candidate) => text.startsWith(candidate, start))
    if (form === undefined) continue
    const last = spans.at(-1)
    const end = start + form.length
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end)
    else spans.push({ start, end })
  }
  return spans
}

/** The text up to `until` with `[secret]` in the place of each span; the first `said` characters were covered before. */
function cover(text: string, spans: readonly Span[], until: number, said: number) {
  const parts: string[] = []
  let at = said
  for (const { start, end } of spans) {
    if (start >= until) break
    parts.push(text.slice(at, start))
    if (start > 0 || said === 0) parts.push(REDACTED)
    at = end
  }
  parts.push(text.slice(at, Math.max(at, until)))
  return { text: parts.join(''), covered: Math.max(0, at - until) }
}

function createStream(current: () => Matcher): RedactedStream {
  let kept = ''
  // Leading characters of `kept` for which `[secret]` has been given out.
  let covered = 0
  const advance = (chunk: string, isEnd: boolean): string => {
    const text = kept + chunk
    const matcher = current()
    const until = isEnd ? text.length : firstUndecided(matcher, text)
    const result = cover(text, findSecrets(matcher, text, covered), until, covered)
    kept = text.slice(until)
    covered = result.covered
    return result.text
  }
  return { write: (chunk) => advance(chunk, false), end: () => advance('', true) }
}

/** The first place from which the rest of the text is the beginning of a form, and more is to come. */
function firstUndecided(matcher: Matcher, text: string): number {
  for (let at = Math.max(0, text.length - matcher.longest + 1); at < text.length; at += 1) {
    const candidates = matcher.byFirst.get(text.charAt(at))
    if (candidates === undefined) continue
    const rest = text.length - at
    const second = text.charAt(at + 1)
    for (const form of candidates) {
      if (form.length <= rest) break
      if (second !== '' && form[1] !== second) continue
      if (form.startsWith(text.slice(at))) return at
    }
  }
  return text.length
}
