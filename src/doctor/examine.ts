import type { Config } from '../config/config.ts'
import { isLoopbackHost } from '../config/loopback.ts'
import type { Database } from '../database/database.ts'
import type { Clock } from '../lib/clock.ts'
import { checkDatabase } from './check-database.ts'
import { checkDataDirectory } from './check-directory.ts'
import { checkClock, checkDisk, checkIsolation, checkPlatform } from './check-host.ts'
import { checkKeyring } from './check-keyring.ts'
import { checkOidc } from './check-oidc.ts'
import { checkPort } from './check-ports.ts'
import { ok, warning, type Finding } from './finding.ts'
import { checkGit } from './git-version.ts'

export type { Finding } from './finding.ts'

interface ExaminationDeps {
  config: Config
  clock: Pick<Clock, 'now'>
  /** Null when there is none yet, or none that opens: `databaseProblem` then says which. */
  db: Database | null
  databaseProblem?: Finding
  /** Who the platform was started as: not always the user of this process. */
  startedAsUid: number
  /** Which of our own listeners are up. */
  serving: { api: boolean; traffic: boolean }
  /** The PATH on which git is looked for. */
  path: string
}

/**
 * Looks at everything that NanoScale needs, and changes nothing. The same list before the first start, beside a running
 * server and inside of it.
 */
export async function examine(deps: ExaminationDeps, signal?: AbortSignal): Promise<Finding[]> {
  const { config, db } = deps
  return [
    ...checkPlatform(process.platform, process.versions.node),
    checkClock(deps.clock),
    ...checkAddresses(config),
    await checkPort({
      check: 'api_port',
      setting: 'NANOSCALE_PORT',
      bind: config.bind,
      port: config.port,
      ours: deps.serving.api,
    }),
    await checkPort({
      check: 'traffic_port',
      setting: 'NANOSCALE_TRAFFIC_PORT',
      bind: config.trafficBind,
      port: config.trafficPort,
      ours: deps.serving.traffic,
    }),
    await checkDataDirectory(config.dataDirectory, process.getuid?.() ?? -1),
    await checkDisk(config.dataDirectory),
    checkIsolation({
      uid: deps.startedAsUid,
      dataDirectory: config.dataDirectory,
      allowUnisolated: config.allowUnisolated,
    }),
    await checkGit(deps.path, signal),
    ...(deps.databaseProblem === undefined ? [] : [deps.databaseProblem]),
    ...(db === null ? [] : await checkDatabase(db, config.database.engine)),
    await checkKeyring(config, db),
    ...(await checkOidc(config, signal)),
  ]
}

/** What the settings mean for who can reach this machine. */
export function checkAddresses(config: Config): Finding[] {
  const host = new URL(config.publicBaseUrl).hostname
  const isOpen = !isLoopbackHost(config.bind.includes(':') ? `[${config.bind}]` : config.bind)
  const findings: Finding[] = []
  findings.push(
    isOpen && isLoopbackHost(host)
      ? warning(
          'public_url',
          `The API listens on ${config.bind}, but its address is ${config.publicBaseUrl}`,
          'Set NANOSCALE_PUBLIC_BASE_URL to the https address of the proxy in front of it',
        )
      : ok('public_url', config.publicBaseUrl),
  )
  if (config.ignoredNames.length > 0) {
    findings.push(
      warning(
        'environment',
        `Names that a container platform set are ignored: ${config.ignoredNames.join(', ')}`,
        'Give the service another name than "nanoscale", or set enableServiceLinks: false',
      ),
    )
  }
  return findings
}
