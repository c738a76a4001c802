/** `hidden`: a dotfile, answered as if it were not there. `malformed`: no browser sends it. */
export type RequestedPath =
  | { kind: 'path'; path: string }
  | { kind: 'hidden' }
  | { kind: 'malformed' }

/**
 * The file path that a request's URL asks for, decoded once, beginning with one slash. Whatever could mean something
 * else to the file system than to the eye is refused: `..` in any spelling, back slashes, NUL, broken encodings.
 */
export function requestedPath(url: string): RequestedPath {
  const encoded = url.split(/[?#]/, 1)[0] ?? ''
  let path: string
  try {
    path = decodeURIComponent(encoded)
  } catch {
    return { kind: 'malformed' }
  }
  // eslint-disable-next-line no-control-regex
  if (!path.startsWith('/') || /[\u0000-\u001f\\\u007f]/.test(path)) return { kind: 'malformed' }
  const segments = path.split('/').slice(1)
  if (segments.some((segment) => segment === '..' || segment === '.')) return { kind: 'malformed' }
  const visible = segments[0] === '.well-known' ? segments.slice(1) : segments
  if (visible.some((segment) => segment.startsWith('.'))) return { kind: 'hidden' }
  // A path that begins with two slashes would become another host in a redirect.
  return { kind: 'path', path: path.replace(/\/{2,}/g, '/') }
}
