import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { OperationError, systemErrorCode } from '../lib/errors.ts'
import { writeFileAtomically } from '../lib/write-file-atomically.ts'
import type { Route, RouteTable, RouteTarget } from './route-table.ts'

/** The last table written to `path`, or null when there is none. Throws `traffic.invalid_table` when it is damaged. */
export async function readRouteFile(path: string): Promise<RouteTable | null> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  })
  return text === null ? null : parseRouteTable(text)
}

/** Replaces the file in one step, on disk when it resolves: a power cut leaves the old table or the new one. */
export async function writeRouteFile(path: string, table: RouteTable): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFileAtomically(path, JSON.stringify(table))
}

function parseRouteTable(text: string): RouteTable {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new OperationError(
      'traffic.invalid_table',
      'Cannot read the route table: it is not JSON',
      { cause },
    )
  }
  return checkRouteTable(value)
}

/** The value as a route table. Throws `traffic.invalid_table`, naming what is wrong. */
export function checkRouteTable(value: unknown): RouteTable {
  if (!isRecord(value) || !Number.isSafeInteger(value['version'])) throw invalid('version')
  const routes: unknown = value['routes']
  if (!Array.isArray(routes)) throw invalid('routes')
  for (const route of routes as unknown[]) if (!isRoute(route)) throw invalid(JSON.stringify(route))
  return { version: Number(value['version']), routes: routes as Route[] }
}

function invalid(what: string): OperationError {
  return new OperationError(
    'traffic.invalid_table',
    `Cannot use the route table: ${what.slice(0, 200)} is not valid`,
  )
}

function isRoute(value: unknown): value is Route {
  return (
    isRecord(value) &&
    typeof value['hostname'] === 'string' &&
    typeof value['projectId'] === 'string' &&
    isTarget(value['target'])
  )
}

function isTarget(value: unknown): value is RouteTarget {
  if (!isRecord(value)) return false
  switch (value['kind']) {
    case 'instance':
      return (
        typeof value['instanceId'] === 'string' &&
        isPort(value['port']) &&
        (value['uid'] === null || Number.isSafeInteger(value['uid']))
      )
    case 'static':
      return (
        typeof value['releaseId'] === 'string' &&
        typeof value['directory'] === 'string' &&
        typeof value['singlePageApp'] === 'boolean'
      )
    case 'unavailable':
      return ['never_deployed', 'crashed', 'starting'].includes(String(value['reason']))
    default:
      return false
  }
}

function isPort(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
