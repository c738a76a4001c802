import { OperationError } from '../lib/errors.ts'

/**
 * Without isolation every app can read what every other one has, the keys of NanoScale included. Alone that is one's
 * own decision; before others are let in, the operator has to take it. Throws `organization.unisolated`.
 */
export function refuseUnisolatedPeople(facts: {
  isolation: 'users' | 'namespaces' | 'none'
  allowUnisolated: boolean
}): void {
  if (facts.isolation !== 'none' || facts.allowUnisolated) return
  throw new OperationError(
    'organization.unisolated',
    'Cannot let further people in: apps are not isolated from one another here; start NanoScale as root, or set NANOSCALE_ALLOW_UNISOLATED=true if everybody may see everything',
  )
}
