import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { auditRetentionJob } from './audit/prune-audit.ts'
import { startAuditSealing } from './audit/start-audit-sealing.ts'
import { createBuilds } from './builds/create-builds.ts'
import { readToolchain } from './builds/toolchain.ts'
import type { Config } from './config/config.ts'
import { readGithubApp } from './config/github-app.ts'
import { secretsOf } from './config/secrets-of.ts'
import type { Database } from './database/database.ts'
import { migrateToLatest } from './database/migrate.ts'
import { openDatabase } from './database/open-database.ts'
import { deletionJob } from './deployments/delete-projects.ts'
import { startDeploymentEngine, type DeploymentEngine } from './deployments/deployment-engine.ts'
import { createDeploymentEvents } from './deployments/deployment-events.ts'
import type { EngineDeps } from './deployments/engine-deps.ts'
import { instanceJobs } from './deployments/instance-jobs.ts'
import type { InstanceLogPlaces } from './deployments/instance-logs.ts'
import { reconcileBranch } from './deployments/reconcile-branch.ts'
import { examine } from './doctor/examine.ts'
import type { GithubHost } from './githosts/github-host.ts'
import { createGithubHost } from './githosts/github/create-github-host.ts'
import { clerkJobs, createClerk } from './identity/clerk/create-clerk.ts'
import { identityExpiryJob } from './identity/expire-identity-records.ts'
import { createOidc } from './identity/oidc/create-oidc.ts'
import { ensureDefaultOrganization } from './identity/organizations.ts'
import { announceSetup } from './identity/setup.ts'
import { createSignIn } from './identity/sign-in/create-sign-in.ts'
import { ensureEnvironmentApp, type EnvironmentApp } from './integrations/environment-app.ts'
import { checkEnvironmentApp } from './integrations/examine-apps.ts'
import { createGithubRepositories } from './integrations/github-repositories.ts'
import { handleLifecycle } from './integrations/handle-lifecycle.ts'
import { createLinkedSources } from './integrations/linked-sources.ts'
import { installationSweepJob } from './integrations/sweep-installations.ts'
import { systemClock, toIsoTime } from './lib/clock.ts'
import { createFaultPoint, FAULT_POINT_FILE } from './lib/fault-point.ts'
import { readHostId } from './lib/host-id.ts'
import { newId } from './lib/ids.ts'
import type { Logger } from './lib/logger.ts'
import { readVersion } from './lib/program-version.ts'
import { createMailer } from './mail/create-mailer.ts'
import { createProcessRuntime } from './runtimes/process/process-runtime.ts'
import { keyStatus } from './secrets/key-status.ts'
import type { InstanceKeyring } from './secrets/open-keyring.ts'
import { createRedactor, type Redactor } from './secrets/redactor.ts'
import { retireKey } from './secrets/retire-key.ts'
import { rotateKeys, type RotationProgress } from './secrets/rotate-keys.ts'
import { unlockKeyring } from './secrets/unlock-keyring.ts'
import { createSources } from './sources/create-sources.ts'
import { systemLookup } from './sources/outbound-guard.ts'
import { uidOf } from './spawner/accounts.ts'
import { createBuildAccounts, endBuildAccounts } from './spawner/build-accounts.ts'
import { connectSpawner } from './spawner/spawner-client.ts'
import type { Spawner } from './spawner/spawner.ts'
import { deriveRouteTable } from './traffic/derive-route-table.ts'
import { connectTraffic, type TrafficClient } from './traffic/traffic-client.ts'
import { deliveryExpiryJob } from './webhooks/expire-deliveries.ts'
import { startWebhooks } from './webhooks/start-webhooks.ts'

/** Looks at branches (eight at once at most) hold an account each, besides the builds. */
const ACCOUNTS_FOR_LOOKS = 8

const READY_WITHIN_MS = 1000

const clock = systemClock

/** What the parts below share. */
interface Base {
  config: Config
  db: Database
  log: Logger
  keyring: InstanceKeyring
  redactor: Redactor
  spawner: Spawner
  traffic: TrafficClient
  hostId: string
  logPlaces: InstanceLogPlaces
  github: GithubHost
  /** Null when the operator configured none. */
  environmentApp: EnvironmentApp | null
}

/**
 * The composition root: makes every part of the control plane out of the configuration and gives each what it uses.
 * The only place that names concrete adapters. Disposing stops what happens by itself, then closes the database.
 */
export async function createApp(options: {
  config: Config
  /** Makes the logger around the redactor, so that no line escapes it. */
  createLog: (redact: (text: string) => string) => Logger
}) {
  const { config } = options
  await using stack = new AsyncDisposableStack()
  const base = await openBase(stack, config, options.createLog)
  const clerk = await createClerkParts(base)
  // Before whatever records events, so that it ends after it, with a last sealing.
  stack.use(startAuditSealing({ ...base, clock, log: base.log.child({ room: 'audit' }) }))
  const log = base.log.child({ room: 'github' })
  const githubRepositories = stack.use(createGithubRepositories({ ...base, clock, newId, log }))
  const engineDeps = await createEngineDeps(base)
  const engine = stack.use(
    startDeploymentEngine(engineDeps, (deps) => [
      deletionJob({ ...deps, config, logPlaces: base.logPlaces }),
      ...instanceJobs(base),
      auditRetentionJob({ ...base, clock, newId }),
      identityExpiryJob({ ...base, clock }),
      ...clerkJobs({ db: base.db, clock }),
      deliveryExpiryJob({ db: base.db, clock }),
      installationSweepJob({ ...base, clock, newId }),
      ...githubRepositories.jobs,
    ]),
  )
  const webhooks = stack.use(startInbox(base, engineDeps, engine))
  await announceSetup({ ...base, clock, newId })
  const closing = stack.move()
  return {
    ...base,
    clock,
    newId,
    mailer: createMailer({ ...config, log: base.log.child({ room: 'mail' }) }),
    events: engineDeps.events,
    deployments: {
      reconcile: (projectId: string, signal: AbortSignal) =>
        reconcileBranch(engineDeps, projectId, { kind: 'person' }, signal),
      wake: () => engine.wake(),
    },
    webhooks,
    githubRepositories,
    publishRoutes: engine.publishRoutes,
    signIn: await createSignIn({ ...base, clock, newId }),
    oidc: createOidc({ ...base, clock }),
    ...clerk,
    instance: await createInstanceOperations(base, engine.booted),
    [Symbol.asyncDispose]: () => closing.disposeAsync(),
  }
}

/** Deliveries of Git hosts make projects look at their branches, and nothing else. */
function startInbox(base: Base, engineDeps: EngineDeps, engine: DeploymentEngine) {
  return startWebhooks({
    ...base,
    clock,
    newId,
    log: base.log.child({ room: 'webhooks' }),
    reconcile: async (projectId, push, signal) => {
      const outcome = await reconcileBranch(
        engineDeps,
        projectId,
        { kind: 'push', ...push },
        signal,
      )
      engine.wake()
      return outcome
    },
    lifecycle: async (event, signal) => {
      const end = await handleLifecycle({ ...base, clock, newId }, event, signal)
      if (end.kind === 'ignored') return end
      for (const projectId of end.resumed) {
        await reconcileBranch(engineDeps, projectId, { kind: 'timer' }, signal)
      }
      engine.wake()
      return { kind: 'done' }
    },
  })
}

async function openBase(
  stack: AsyncDisposableStack,
  config: Config,
  createLog: (redact: (text: string) => string) => Logger,
): Promise<Base> {
  const redactor = createRedactor()
  for (const secret of secretsOf(config)) redactor.add(secret)
  const log = createLog((text) => redactor.redact(text))
  const db = stack.adopt(await openDatabase(config.database), (handle) => handle.destroy())
  await migrateToLatest(db)
  await ensureDefaultOrganization(db, { clock, newId })
  const keyring = await unlockKeyring({ db, clock, config, redactor })
  const run = join(config.dataDirectory, 'run')
  const spawner = stack.use(connectSpawner(join(run, 'spawner.sock'), { clock }))
  const traffic = stack.use(
    connectTraffic(join(run, 'traffic.sock'), { clock, log: log.child({ room: 'traffic' }) }),
  )
  const logPlaces = {
    directory: join(config.dataDirectory, 'logs'),
    rotatedDirectory: join(run, 'rotated-logs'),
  }
  const hostId = await readHostId(join(run, 'host-id'), newId)
  const githubDeps = { clock, redactor, gitHosts: config.gitHosts, lookup: systemLookup }
  const github = stack.use(createGithubHost({ ...githubDeps, log: log.child({ room: 'github' }) }))
  const environmentApp = readGithubApp(config)
  await ensureEnvironmentApp({ db, clock, newId, keyring, environmentApp })
  const parts = { config, db, log, keyring, redactor, spawner, traffic, hostId, logPlaces }
  return { ...parts, github, environmentApp }
}

async function createClerkParts({ config, db, log, spawner }: Base) {
  const isolation = await spawner.isolation()
  const { allowUnisolated } = config
  const deps = { config, db, clock, newId, log: log.child({ room: 'clerk' }) }
  return await createClerk(deps, { isolation, allowUnisolated })
}

async function createEngineDeps(base: Base): Promise<EngineDeps> {
  const { config, db, keyring, redactor, spawner } = base
  const accountBase = await spawner.accountBase()
  const toolchain = await readToolchain(config.dataDirectory)
  const accounts = config.concurrentBuilds + ACCOUNTS_FOR_LOOKS
  const buildAccounts = createBuildAccounts(spawner, accounts)
  const { gitHosts } = config
  const linked = createLinkedSources({ ...base, clock, newId })
  const sourceDeps = {
    spawner,
    buildAccounts,
    gitHosts,
    clock,
    newId,
    lookup: systemLookup,
    linked,
  }
  const runtime = createProcessRuntime({
    spawner,
    toolchainPath: join(config.dataDirectory, 'toolchain', 'bin'),
  })
  return {
    ...base,
    clock,
    newId,
    log: base.log.child({ room: 'deployments' }),
    sources: createSources(sourceDeps),
    builds: createBuilds({
      ...sourceDeps,
      keyring,
      redactor,
      toolchain,
      logDirectory: base.logPlaces.directory,
      buildLimits: {
        timeoutMs: config.buildTimeoutSeconds * 1000,
        diskBytes: config.buildDiskBytes,
        memoryBytes: config.buildMemoryBytes,
      },
    }),
    runtimes: new Map([[runtime.kind, runtime]]),
    endBuilds: () => endBuildAccounts(spawner, accounts),
    deriveRoutes: (version) =>
      deriveRouteTable(db, {
        baseDomain: config.baseDomain,
        dataDirectory: config.dataDirectory,
        uidOf: (slot) => uidOf({ kind: 'project', slot }, accountBase),
        version,
      }),
    events: createDeploymentEvents(),
    faultPoint: createFaultPoint(join(config.dataDirectory, 'run', FAULT_POINT_FILE)),
  }
}

/** What the API tells and does about the instance itself. */
async function createInstanceOperations(base: Base, booted: Promise<void>) {
  const { config, db, spawner, traffic } = base
  const keys = { db, clock, keyring: base.keyring }
  const isolation = await spawner.isolation()
  const answers = (part: Promise<unknown>) =>
    part.then(
      () => true,
      () => false,
    )
  return {
    version: await readVersion(),
    startedAt: toIsoTime(clock.now()),
    isolation: () => Promise.resolve(isolation),
    doctor: async (signal: AbortSignal) => [
      ...(await examine(
        {
          config,
          clock,
          db,
          startedAsUid: isolation === 'users' ? 0 : (process.getuid?.() ?? -1),
          serving: { api: true, traffic: await answers(traffic.stats()) },
          path: process.env['PATH'] ?? '',
        },
        signal,
      )),
      ...(await checkEnvironmentApp({ ...base, clock, newId }, signal)),
    ],
    keyStatus: async () => (await keyStatus(keys)).keys,
    rotateKeys: async (onProgress: (progress: RotationProgress) => void) => {
      await rotateKeys(keys, onProgress)
    },
    retireKey: (id: string) => retireKey(keys, id),
    readiness: async () => ({
      database: await answers(db.selectFrom('jobs').select('name').limit(1).execute()),
      traffic: await answers(traffic.stats()),
      // At once: who asks whether we are ready does not wait until we are.
      worker: await Promise.race([answers(booted), delay(READY_WITHIN_MS, false, { ref: false })]),
    }),
  }
}
