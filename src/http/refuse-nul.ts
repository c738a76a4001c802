import { OperationError } from '../lib/errors.ts'

/** No name or id has the character NUL, and PostgreSQL cannot be asked for it. Throws `http.malformed`. */
export function refuseNulInAddress(url: string): void {
  if (!url.includes('%00')) return
  throw new OperationError('http.malformed', 'Cannot read the address: it has the character NUL')
}

/** The same for what was sent, wherever it is in there. Throws `http.invalid`, naming the field. */
export function refuseNulInBody(body: unknown): void {
  const field = findNul(body, '')
  if (field === null) return
  const details = { [field]: ['it has the character NUL'] }
  throw new OperationError('http.invalid', `Cannot accept ${field}: it has the character NUL`, {
    details,
  })
}

function findNul(value: unknown, path: string): string | null {
  if (typeof value === 'string') return value.includes('\0') ? path : null
  if (typeof value !== 'object' || value === null) return null
  for (const [name, inner] of Object.entries(value)) {
    const found = findNul(inner, path === '' ? name : `${path}.${name}`)
    if (found !== null) return found
  }
  return null
}
