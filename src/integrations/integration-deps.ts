import type { Config } from '../config/config.ts'
import type { Database } from '../database/database.ts'
import type { GithubHost } from '../githosts/github-host.ts'
import type { Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'
import type { Keyring } from '../secrets/keyring.ts'
import type { EnvironmentApp } from './environment-app.ts'

/** What working with GitHub takes. */
export interface IntegrationDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'seal' | 'open'>
  github: GithubHost
  /** The App that the operator configured; null without one. */
  environmentApp: EnvironmentApp | null
  config: Pick<Config, 'publicBaseUrl' | 'gitHosts'>
}
