/** Where people go who wanted nowhere in particular. */
export const HOME_PATH = '/'

const MAX_LENGTH = 2000

/** Printable ASCII after one slash; browsers read a backslash as a slash and leave out tabs and line ends. */
const PATH = /^\/(?![/\\])[\x21-\x5b\x5d-\x7e]*$/

/**
 * Where to send somebody after signing in: the path that was wanted when it lies on this very site, else the home page.
 * Never an address that a browser takes for another site's, or for a script.
 */
export function safeReturnPath(wanted: string | null | undefined): string {
  if (typeof wanted !== 'string' || wanted.length > MAX_LENGTH) return HOME_PATH
  if (!PATH.test(wanted)) return HOME_PATH
  const here = 'http://here.invalid'
  const url = URL.parse(wanted, here)
  if (url === null || url.origin !== here) return HOME_PATH
  const path = `${url.pathname}${url.search}${url.hash}`
  // "/.//elsewhere" is a path of ours until a browser resolves its dots.
  return path.startsWith('//') ? HOME_PATH : path
}
