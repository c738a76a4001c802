import { homedir } from 'node:os'
import { join } from 'node:path'

import { OperationError } from '../lib/errors.ts'
import type { ConfigKey } from './config-key.ts'
import { CONFIG_KEYS, type ConfigField } from './config-keys.ts'
import { checkNames } from './config-names.ts'
import { findContradictions } from './contradictions.ts'
import { githubApiUrlOf } from './github-keys.ts'

type ValueOf<Key> = Key extends ConfigKey<infer Value> ? Value : never

/** The values as given, `null` where the default follows from others. */
type Given = { [Field in ConfigField]: ValueOf<(typeof CONFIG_KEYS)[Field]> | null }

/** Settings as decided: every contradiction is ruled out, every default filled in. Documented in `config-keys.ts`. */
export type Config = {
  readonly [Field in Exclude<ConfigField, Optional>]: ValueOf<(typeof CONFIG_KEYS)[Field]>
} & {
  /** Null: the key file of the data directory; otherwise a part of NanoScale that is not in use. */
  readonly [Field in Optional]: ValueOf<(typeof CONFIG_KEYS)[Field]> | null
} & {
  /** Names that a container platform injected for a service called "nanoscale": seen and not read. */
  readonly ignoredNames: readonly string[]
}

/** Settings that stay null when nobody sets them. */
type Optional =
  | 'encryptionKeys'
  | 'smtpUrl'
  | 'mailFrom'
  | 'oidcIssuer'
  | 'oidcClientId'
  | 'oidcClientSecret'
  | 'clerkWebhookSecret'
  | 'clerkIssuer'
  | 'clerkJwksUrl'
  | 'clerkJwtKey'
  | 'githubAppId'
  | 'githubAppClientId'
  | 'githubAppClientSecret'
  | 'githubAppPrivateKeyPath'
  | 'githubAppPrivateKey'
  | 'githubWebhookSecret'

export type Environment = Readonly<Record<string, string | undefined>>

/** Facts of the machine that defaults depend on. */
export interface HostFacts {
  uid: number
  homeDirectory: string
}

type Problems = Map<string, string[]>

/**
 * Reads the settings from the environment. An empty value counts as not set. Throws `config.invalid`, whose `details`
 * name every wrong setting at once; values are not in its messages, since some are secret.
 */
export function loadConfig(env: Environment, host: HostFacts = hostFacts()): Config {
  const problems: Problems = new Map()
  const { injected, unknown } = checkNames(env)
  for (const { name, problem } of unknown) addProblem(problems, name, problem)
  const given = readGiven(env, new Set(injected), problems)
  const config = { ...decide(given, env, host), ignoredNames: injected }
  for (const { field, problem } of findContradictions(config)) {
    const { env: name } = CONFIG_KEYS[field]
    // A value that was not understood was replaced by its default: nothing follows from that.
    if (!problems.has(name)) addProblem(problems, name, problem)
  }
  refuse(problems)
  return config
}

function hostFacts(): HostFacts {
  return { uid: process.getuid?.() ?? -1, homeDirectory: homedir() }
}

function readGiven(env: Environment, injected: ReadonlySet<string>, problems: Problems): Given {
  const given: Record<string, unknown> = {}
  for (const [field, key] of Object.entries(CONFIG_KEYS)) {
    const text = injected.has(key.env) ? '' : (env[key.env]?.trim() ?? '')
    if (text === '') {
      given[field] = key.default
      continue
    }
    const parsed = key.parse(text)
    if ('problem' in parsed) addProblem(problems, key.env, parsed.problem)
    given[field] = 'problem' in parsed ? key.default : parsed.value
  }
  return given as Given
}

/** Defaults that follow from other settings. */
function decide(given: Given, env: Environment, host: HostFacts): Omit<Config, 'ignoredNames'> {
  const settled = given as Omit<Config, 'ignoredNames'>
  const dataDirectory = given.dataDirectory ?? defaultDataDirectory(env, host)
  return {
    ...settled,
    dataDirectory,
    database: given.database ?? {
      engine: 'sqlite',
      path: join(dataDirectory, 'database', 'nanoscale.db'),
    },
    trafficBind: given.trafficBind ?? settled.bind,
    githubApiUrl: given.githubApiUrl ?? githubApiUrlOf(settled.githubWebUrl),
    publicBaseUrl: given.publicBaseUrl ?? `http://localhost:${settled.port}`,
    trafficUrl:
      given.trafficUrl ??
      new URL(`http://any.${settled.baseDomain}:${settled.trafficPort}`).origin.replace('any', '*'),
  }
}

function defaultDataDirectory(env: Environment, host: HostFacts): string {
  if (host.uid === 0) return '/var/lib/nanoscale'
  const base = env['XDG_DATA_HOME']
  // The base directory specification: a relative one is to be ignored.
  return base?.startsWith('/') === true
    ? join(base, 'nanoscale')
    : join(host.homeDirectory, '.local', 'share', 'nanoscale')
}

function addProblem(problems: Problems, name: string, problem: string): void {
  problems.set(name, [...(problems.get(name) ?? []), problem])
}

function refuse(problems: Problems): void {
  if (problems.size === 0) return
  const sentences = [...problems].flatMap(([name, list]) => list.map((text) => `${name} ${text}`))
  throw new OperationError(
    'config.invalid',
    `Cannot read the configuration: ${sentences.join('; ')}`,
    { details: Object.fromEntries(problems) },
  )
}
