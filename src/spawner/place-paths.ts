import { isAbsolute, join } from 'node:path'

import { OperationError } from '../lib/errors.ts'
import type { Place } from './spawner.ts'

const ID = /^[a-z0-9-]{1,64}$/
const AREAS: readonly string[] = ['builds', 'mirrors', 'releases', 'apps'] satisfies Place['area'][]

/** The absolute path of a place: made from its area and id alone. Throws `spawner.invalid_place`. */
export function pathOfPlace(dataDirectory: string, place: Place): string {
  if (!AREAS.includes(place.area)) {
    throw new OperationError(
      'spawner.invalid_place',
      `Cannot use the area "${place.area}": required is one of ${AREAS.join(', ')}`,
    )
  }
  return join(dataDirectory, place.area, requireId(place.id))
}

export function requireId(id: string): string {
  if (typeof id === 'string' && ID.test(id)) return id
  throw new OperationError(
    'spawner.invalid_place',
    `Cannot use the id "${id}": required are 1 to 64 of a-z, 0-9 and "-"`,
  )
}

/**
 * The parts of a path inside a place; none for the place itself. Throws `spawner.invalid_path` for an absolute path,
 * `..` and NUL. Links are not looked at here.
 */
export function partsOfPath(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (isAbsolute(path) || path.includes('\0') || parts.includes('..')) {
    throw new OperationError(
      'spawner.invalid_path',
      `Cannot use the path "${path.replaceAll('\0', '\\0')}": required is a relative path without ".."`,
    )
  }
  return parts
}
