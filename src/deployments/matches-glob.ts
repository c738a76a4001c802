/**
 * True when a path matches a glob, or lies below a directory that does. `**` crosses directories, `*` and `?` do not;
 * names with a leading dot are names like any other, a trailing slash means all that is below.
 *
 * Patterns are a repository's say: time grows with the length of the pattern times that of the path and no faster, which
 * a regular expression with several stars does not promise.
 */
export function matchesGlob(path: string, pattern: string): boolean {
  const characters = Array.from(path)
  const start = new Uint8Array(characters.length + 1)
  start[0] = 1
  const reached = tokensOf(pattern.replace(/\/$/, '/**')).reduce(
    (places, token) => advance(places, token, characters),
    start,
  )
  return reached.some((is, at) => is === 1 && (at === characters.length || characters[at] === '/'))
}

function tokensOf(pattern: string): string[] {
  return pattern.match(/\*\*\/?|[^]/gu) ?? []
}

/** The places in the path that are reached after one more token, from those that were reached before it. */
function advance(
  before: Uint8Array,
  token: string,
  path: readonly string[],
): Uint8Array<ArrayBuffer> {
  const after = new Uint8Array(before.length)
  let isOpen = false
  for (let at = 0; at < before.length; at++) {
    const isHere = before[at] === 1
    const character = path[at]
    switch (token) {
      case '**/':
        // None, or some whole directories.
        if (isHere || (isOpen && path[at - 1] === '/')) after[at] = 1
        isOpen ||= isHere && character !== '/'
        break
      case '**':
        isOpen ||= isHere
        if (isOpen) after[at] = 1
        break
      case '*':
        isOpen ||= isHere
        if (isOpen) after[at] = 1
        if (character === '/') isOpen = false
        break
      default:
        if (isHere && (token === '?' ? isPlain(character) : character === token)) after[at + 1] = 1
    }
  }
  return after
}

function isPlain(character: string | undefined): boolean {
  return character !== undefined && character !== '/'
}
