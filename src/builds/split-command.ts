import type { Argv } from './build-plan.ts'

export type SplitCommand = { kind: 'argv'; argv: Argv } | { kind: 'refused'; reason: string }

const ADVICE = 'there is no shell; use a script of package.json, or an array'
/** What a shell would act on when it stands outside of quotes. */
const OPERATORS = /[;&|<>()`$*?[\]{}~#!\n]/

/** Splits a command line into words: quotes and backslashes as in a shell, and nothing else of a shell. */
export function splitCommand(line: string): SplitCommand {
  const words: string[] = []
  let word: string | null = null
  let at = 0
  const refuse = (reason: string): SplitCommand => ({ kind: 'refused', reason })
  while (at < line.length) {
    const character = line.charAt(at)
    if (character === "'" || character === '"') {
      const quoted = readQuoted(line, at)
      if (quoted.kind === 'refused') return quoted
      word = (word ?? '') + quoted.text
      at = quoted.next
      continue
    }
    if (character === '\\') {
      if (at + 1 >= line.length) return refuse('it ends with a backslash')
      word = (word ?? '') + line.charAt(at + 1)
      at += 2
      continue
    }
    if (character !== '\n' && /\s/.test(character)) {
      if (word !== null) words.push(word)
      word = null
    } else if (OPERATORS.test(character) && !isPlain(line, at, word)) {
      return refuse(`"${character}" needs a shell: ${ADVICE}`)
    } else word = (word ?? '') + character
    at += 1
  }
  if (word !== null) words.push(word)
  const [first, ...rest] = words
  if (first === undefined || first === '') return refuse('it is empty')
  if (/^[A-Za-z_][A-Za-z0-9_]*=/.test(first)) {
    return refuse(`"${first}" sets a variable, which needs a shell: ${ADVICE}`)
  }
  return { kind: 'argv', argv: [first, ...rest] }
}

/** Some characters mean something to a shell only at the start of a word, or alone. */
function isPlain(line: string, at: number, word: string | null): boolean {
  const character = line.charAt(at)
  if (character === '~' || character === '#') return word !== null
  if (character === '!') return word !== null
  return '{}'.includes(character) && !/\{[^\s}]*(?:,|\.\.)[^\s}]*\}/.test(line)
}

function readQuoted(
  line: string,
  start: number,
): { kind: 'text'; text: string; next: number } | { kind: 'refused'; reason: string } {
  const quote = line.charAt(start)
  let text = ''
  for (let at = start + 1; at < line.length; at += 1) {
    const character = line.charAt(at)
    if (character === quote) return { kind: 'text', text, next: at + 1 }
    if (quote === '"' && (character === '$' || character === '`')) {
      return { kind: 'refused', reason: `"${character}" in double quotes needs a shell: ${ADVICE}` }
    }
    if (quote === '"' && character === '\\' && '"\\$`'.includes(line.charAt(at + 1))) {
      at += 1
      text += line.charAt(at)
    } else text += character
  }
  return { kind: 'refused', reason: 'a quote is not closed' }
}
