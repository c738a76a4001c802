import type { DeploymentState } from '../database/schema.ts'

/**
 * The states of a deployment and the moves between them. `live` means that it took the traffic; `live → failed` is
 * the app that crashed while its predecessor still stood by. Every move is a compare-and-set in the database.
 */
const MOVES = {
  queued: ['fetching', 'superseded', 'cancelled'],
  // A release that exists is not built again.
  fetching: ['building', 'releasing', 'starting', 'cancelling', 'failed', 'interrupted'],
  building: ['releasing', 'starting', 'cancelling', 'failed', 'interrupted'],
  releasing: ['starting', 'failed', 'interrupted'],
  starting: ['checking', 'cancelling', 'failed', 'interrupted'],
  checking: ['starting', 'switching', 'cancelling', 'failed', 'interrupted'],
  switching: ['live', 'failed', 'interrupted'],
  cancelling: ['cancelled', 'superseded'],
  live: ['failed'],
  failed: [],
  superseded: [],
  cancelled: [],
  interrupted: [],
} as const satisfies Record<DeploymentState, readonly DeploymentState[]>

/** In these a deployment holds its project: at most one per project, by a unique index. */
export const ACTIVE_STATES = [
  'fetching',
  'building',
  'releasing',
  'starting',
  'checking',
  'switching',
  'cancelling',
] as const satisfies readonly DeploymentState[]

/** From these nothing of a newer head or a person may pull it: they must run to their end. */
export const UNCANCELLABLE_STATES = [
  'releasing',
  'switching',
] as const satisfies readonly DeploymentState[]

export function canMove(from: DeploymentState, to: DeploymentState): boolean {
  return (MOVES[from] as readonly DeploymentState[]).includes(to)
}

export function isActive(state: DeploymentState): boolean {
  return (ACTIVE_STATES as readonly DeploymentState[]).includes(state)
}

export function isEnded(state: DeploymentState): boolean {
  return state !== 'queued' && !isActive(state)
}
