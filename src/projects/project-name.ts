import { OperationError } from '../lib/errors.ts'

/** A DNS label short enough that a suffix fits behind it. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/
const UUID_START = /^[0-9a-f]{8}-/

/** Host names below the base domain that people take for the platform's own. */
const RESERVED = new Set([
  'admin',
  'api',
  'app',
  'dashboard',
  'localhost',
  'mail',
  'nanoscale',
  'ns1',
  'ns2',
  'www',
])

/** Throws `project.invalid_name` unless the name can be the first label of a host name. */
export function checkProjectName(name: string): void {
  const reason = reasonAgainst(name)
  if (reason === null) return
  throw new OperationError('project.invalid_name', `Cannot name a project "${name}": ${reason}`, {
    details: { name: [reason] },
  })
}

function reasonAgainst(name: string): string | null {
  if (!NAME.test(name)) {
    return 'a name is 1 to 40 lower-case letters, digits and inner hyphens'
  }
  if (RESERVED.has(name)) return 'the name is reserved'
  // Such labels mean an encoded international name, and would show as something else.
  if (name.slice(2, 4) === '--') return 'a name has no hyphens in third and fourth place'
  // Commands take a name or an id: the two must not look alike.
  if (UUID_START.test(name)) return 'a name does not begin like an id'
  return null
}
