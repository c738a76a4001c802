import type { AppFacts } from '../githosts/github-host.ts'
import { isOperationError, type OperationError } from '../lib/errors.ts'
import { readAppHook } from './app-hooks.ts'
import { ENVIRONMENT_HOOK_PATH } from './environment-app.ts'
import { needsOfApp, permissionsUrl } from './github-app-config.ts'
import { noteAppFacts, listSharedApps, openGithubApp, type AppRow } from './github-apps.ts'
import type { IntegrationDeps } from './integration-deps.ts'
import { findDrift, isSufficient, type Drift } from './permission-presets.ts'

/** Beyond this GitHub refuses what is signed with the time. */
const MAX_SKEW_SECONDS = 60

/** What GitHub says of an App, compared with what is needed and with what is known here. */
export type ExaminedApp =
  | {
      kind: 'read'
      row: AppRow
      facts: AppFacts
      drift: Drift
      /** Where deliveries should go, and where they go. */
      hookUrl: { ours: string; told: string | null }
    }
  | { kind: 'failed'; row: AppRow; problem: OperationError }

/** Reads an App at GitHub. What GitHub cannot be asked is a finding, not an error. */
export async function examineApp(
  deps: IntegrationDeps,
  row: AppRow,
  signal: AbortSignal,
): Promise<ExaminedApp> {
  try {
    const app = await openGithubApp(deps, row)
    const facts = await deps.github.readApp(app, signal)
    const config = await noteAppFacts(deps, row, facts)
    const told = (await deps.github.readHookConfig(app, signal)).url
    const drift = findDrift(needsOfApp(config), facts)
    const ours = await hookUrlOf(deps, row)
    return { kind: 'read', row: { ...row, config }, facts, drift, hookUrl: { ours, told } }
  } catch (error) {
    if (isOperationError(error)) return { kind: 'failed', row, problem: error }
    throw error
  }
}

/** Where GitHub delivers the events of an App to. */
async function hookUrlOf(deps: IntegrationDeps, row: AppRow): Promise<string> {
  const { publicBaseUrl } = deps.config
  if (row.config.environment === true) return `${publicBaseUrl}${ENVIRONMENT_HOOK_PATH}`
  return `${publicBaseUrl}/hooks/${(await readAppHook(deps.db, row.id)).public_id}`
}

/** As the doctor tells it. */
interface Finding {
  check: string
  status: 'ok' | 'warning' | 'failed'
  message: string
  fix: string | null
}

/**
 * What is wrong with the App from the environment, each with what to do. Nothing when there is none. Apps of
 * organizations are their own business: their list says the same of each.
 */
export async function checkEnvironmentApp(
  deps: IntegrationDeps,
  signal: AbortSignal,
): Promise<Finding[]> {
  const rows = await listSharedApps(deps.db)
  const examined = await Promise.all(rows.map((row) => examineApp(deps, row, signal)))
  return examined.flatMap(findingsOf)
}

/** Decides what to tell of one App. */
function findingsOf(examined: ExaminedApp): Finding[] {
  const { row } = examined
  const name = `The GitHub App "${row.name}"`
  const warn = (message: string, fix: string): Finding => ({
    check: 'github_app',
    status: 'warning',
    message: `${name} ${message}`,
    fix,
  })
  if (examined.kind === 'failed') {
    const fix =
      'Check that this machine reaches GitHub, that the clock is right, and that the id and the private key belong together'
    return [warn(`cannot be read: ${examined.problem.message}`, fix)]
  }
  const { facts, drift, hookUrl } = examined
  const { config } = row
  const found: Finding[] = []
  if (facts.id !== config.appId || facts.clientId !== config.clientId) {
    const told = `${facts.id} with the client id ${facts.clientId}`
    found.push(
      warn(`is ${told} at GitHub`, 'Give the id, client id and key of one and the same App'),
    )
  }
  if (Math.abs(facts.clockSkewSeconds) > MAX_SKEW_SECONDS) {
    const skew = Math.round(facts.clockSkewSeconds)
    found.push(warn(`sees a clock that is ${skew} s off`, 'Synchronise the clock of this machine'))
  }
  if (hookUrl.told !== hookUrl.ours) {
    const told = hookUrl.told ?? 'nowhere'
    found.push(
      warn(
        `sends its events to ${told}`,
        `Set its webhook URL to ${hookUrl.ours}, active, as JSON`,
      ),
    )
  }
  if (!isSufficient(drift)) {
    const lacks = [
      ...Object.entries(drift.missingPermissions).map(([key, level]) => `${key}:${level}`),
      ...drift.missingEvents.map((event) => `the event ${event}`),
    ]
    found.push(warn(`lacks ${lacks.join(', ')}`, `Grant it at ${permissionsUrl(config)}`))
  }
  const fine = `${name} (${config.slug}) is what it should be; events arrive at ${hookUrl.ours}`
  return found.length > 0
    ? found
    : [{ check: 'github_app', status: 'ok', message: fine, fix: null }]
}
