import { isOperationError, messageOf, systemErrorCode } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from './metrics.ts'
import type { InstanceTarget } from './upstreams.ts'

export type ReportUpstreamError = (target: InstanceTarget, error: unknown) => void

/** A busy app that is down fails thousands of requests a second; one line a second says as much. */
const LOG_EVERY_MS = 1000
const MOST_REMEMBERED = 1000

/** Counts each error of an app, and logs the first of each second and instance. */
export function createUpstreamErrorReport(deps: {
  metrics: Metrics
  log: Logger
}): ReportUpstreamError {
  const lastLogged = new Map<string, number>()
  return (target, error) => {
    deps.metrics.countUpstreamError()
    const { instanceId, port } = target
    const now = Date.now()
    if (now - (lastLogged.get(instanceId) ?? 0) < LOG_EVERY_MS) return
    if (lastLogged.size >= MOST_REMEMBERED) lastLogged.clear()
    lastLogged.set(instanceId, now)
    const reason = isOperationError(error) ? error.code : (systemErrorCode(error) ?? 'unknown')
    deps.log.warn('app did not answer', { instanceId, port, reason, detail: messageOf(error) })
  }
}
