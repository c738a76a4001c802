import type { LogLevel } from '../lib/logger.ts'
import { key } from './config-key.ts'
import {
  absolutePath,
  addressRange,
  bytesFrom,
  database,
  flag,
  gitHost,
  hostname,
  integerBetween,
  ipAddress,
  listOf,
  oneOf,
  originPattern,
  originUrl,
  secret,
} from './config-values.ts'
import { GITHUB } from './github-keys.ts'
import { IDENTITY_PROVIDERS, PEOPLE } from './people-keys.ts'

const PORT = integerBetween(1, 65_535)
const SECONDS = integerBetween(1, 86_400)
const GIB = 2 ** 30
const DEFAULT_GIT_HOSTS = ['github.com', 'gitlab.com', 'bitbucket.org', 'codeberg.org']

const PLACES = {
  dataDirectory: key({
    env: 'NANOSCALE_DATA_DIR',
    doc: 'Directory that holds everything NanoScale keeps: records, keys, releases, logs.',
    parse: absolutePath,
    default: null,
    defaultDoc:
      '/var/lib/nanoscale as root, else $XDG_DATA_HOME/nanoscale or ~/.local/share/nanoscale',
    example: '/srv/nanoscale',
  }),
  database: key({
    env: 'NANOSCALE_DATABASE_URL',
    doc: 'Where the records are: a PostgreSQL server, or a SQLite file on a local disk.',
    parse: database,
    default: null,
    defaultDoc: 'SQLite in `database/nanoscale.db` of the data directory',
    example: 'postgres://nanoscale:password@db.internal/nanoscale',
  }),
  encryptionKeys: key({
    env: 'NANOSCALE_ENCRYPTION_KEYS',
    doc:
      'Keys that seal stored secrets, as `id:base64` of 32 random bytes (`openssl rand -base64 32`), separated by ' +
      'commas. The first one seals, all of them open.',
    parse: secret,
    default: null,
    defaultDoc: 'the file `keys/keyring` of the data directory, made at the first start',
    example: 'k2:<base64>,k1:<base64>',
    secret: true,
  }),
}

const ADDRESSES = {
  bind: key({
    env: 'NANOSCALE_BIND',
    doc: 'Address on which the API listens. Put a reverse proxy with TLS in front before you open it to a network.',
    parse: ipAddress,
    default: '127.0.0.1',
    example: '0.0.0.0',
  }),
  port: key({
    env: 'NANOSCALE_PORT',
    doc: 'Port of the API.',
    parse: PORT,
    default: 4000,
    example: '4000',
  }),
  trafficBind: key({
    env: 'NANOSCALE_TRAFFIC_BIND',
    doc: 'Address on which apps are served.',
    parse: ipAddress,
    default: null,
    defaultDoc: 'the same as NANOSCALE_BIND',
    example: '0.0.0.0',
  }),
  trafficPort: key({
    env: 'NANOSCALE_TRAFFIC_PORT',
    doc: 'Port on which apps are served.',
    parse: PORT,
    default: 8080,
    example: '80',
  }),
  publicBaseUrl: key({
    env: 'NANOSCALE_PUBLIC_BASE_URL',
    doc: 'Address under which people and Git hosts reach the API. Must be https, except on loopback.',
    parse: originUrl,
    default: null,
    defaultDoc: 'http://localhost:<NANOSCALE_PORT>',
    example: 'https://nanoscale.example.com',
  }),
  baseDomain: key({
    env: 'NANOSCALE_BASE_DOMAIN',
    doc:
      'Apps are at `<name>.<base domain>`: point a wildcard DNS record at this machine. It may be neither at, above nor ' +
      'below the host of the public address: apps would share cookies with NanoScale itself.',
    parse: hostname,
    default: 'localhost',
    example: 'apps.example.net',
  }),
  trafficUrl: key({
    env: 'NANOSCALE_TRAFFIC_URL',
    doc: 'How apps are reached from outside, when a proxy stands in front: the asterisk is the name of the app.',
    parse: originPattern,
    default: null,
    defaultDoc: 'http://*.<NANOSCALE_BASE_DOMAIN>:<NANOSCALE_TRAFFIC_PORT>',
    example: 'https://*.apps.example.net',
  }),
  trustedProxies: key({
    env: 'NANOSCALE_TRUSTED_PROXIES',
    doc:
      'Addresses or networks of proxies whose X-Forwarded headers are believed. On loopback any app of this machine ' +
      'can pretend to be the proxy.',
    parse: listOf(addressRange),
    default: [],
    defaultDoc: 'none',
    example: '10.0.0.5, 192.168.4.0/24',
  }),
  gitHosts: key({
    env: 'NANOSCALE_GIT_HOSTS',
    doc:
      'Git hosts from which repositories may be fetched, as `host[:port][@private]`. With `@private` the host may also ' +
      'have an address of a private network or of this machine.',
    parse: listOf(gitHost),
    default: DEFAULT_GIT_HOSTS,
    example: 'github.com, git.example.com:8443@private',
  }),
}

const WORK = {
  runtime: key<'process' | 'docker' | 'swarm'>({
    env: 'NANOSCALE_RUNTIME',
    doc: 'What runs the apps of new projects. `process`: as processes of this machine, each project under its own user.',
    parse: oneOf(['process']),
    default: 'process',
    example: 'process',
  }),
  allowUnisolated: key({
    env: 'NANOSCALE_ALLOW_UNISOLATED',
    doc:
      'Set it to 1 to accept more than one organization or member although builds and apps cannot be kept apart here: ' +
      'each of them could then read the keys.',
    parse: flag,
    default: false,
    defaultDoc: '0',
    example: '1',
  }),
  logLevel: key<LogLevel>({
    env: 'NANOSCALE_LOG_LEVEL',
    doc: 'Least severe log lines to print: debug, info, warn, error or silent.',
    parse: oneOf(['debug', 'info', 'warn', 'error', 'silent']),
    default: 'info',
    example: 'debug',
  }),
  concurrentBuilds: key({
    env: 'NANOSCALE_CONCURRENT_BUILDS',
    doc: 'Builds at the same time, over all projects.',
    parse: integerBetween(1, 64),
    default: 2,
    example: '1',
  }),
  pollIntervalSeconds: key({
    env: 'NANOSCALE_POLL_INTERVAL_SECONDS',
    doc: 'How often the branch of a new project is looked at, in seconds.',
    parse: SECONDS,
    default: 60,
    example: '30',
  }),
  buildDiskBytes: key({
    env: 'NANOSCALE_BUILD_DISK_BYTES',
    doc: 'Disk that one build may use, its checkout included: bytes, or a size such as 4G.',
    parse: bytesFrom(2 ** 20),
    default: 4 * GIB,
    example: '8G',
  }),
  buildMemoryBytes: key({
    env: 'NANOSCALE_BUILD_MEMORY_BYTES',
    doc: 'Memory that all processes of one build may use: bytes, or a size such as 2G.',
    parse: bytesFrom(2 ** 20),
    default: 2 * GIB,
    example: '1G',
  }),
}

const DEADLINES = {
  buildTimeoutSeconds: key({
    env: 'NANOSCALE_BUILD_TIMEOUT_SECONDS',
    doc: 'A build that takes longer is ended and fails.',
    parse: SECONDS,
    default: 1800,
    example: '3600',
  }),
  releaseTimeoutSeconds: key({
    env: 'NANOSCALE_RELEASE_TIMEOUT_SECONDS',
    doc: 'A release command (migrations, for example) that takes longer is ended and fails.',
    parse: SECONDS,
    default: 600,
    example: '1200',
  }),
  healthTimeoutSeconds: key({
    env: 'NANOSCALE_HEALTH_TIMEOUT_SECONDS',
    doc: 'A new version that does not answer its health check within this time fails; the old one serves on.',
    parse: SECONDS,
    default: 60,
    example: '120',
  }),
  drainSeconds: key({
    env: 'NANOSCALE_DRAIN_SECONDS',
    doc: 'How long requests and WebSockets of the old version may go on after the switch.',
    parse: SECONDS,
    default: 30,
    example: '120',
  }),
  stopGraceSeconds: key({
    env: 'NANOSCALE_STOP_GRACE_SECONDS',
    doc: 'Time between the request to stop (SIGTERM) and the end (SIGKILL).',
    parse: SECONDS,
    default: 10,
    example: '30',
  }),
  standbySeconds: key({
    env: 'NANOSCALE_STANDBY_SECONDS',
    doc: 'How long the old version stays running after the switch, so that a rollback is instant.',
    parse: integerBetween(0, 86_400),
    default: 30,
    example: '300',
  }),
}

/** Every setting there is, in the order in which they are documented. */
export const CONFIG_KEYS = {
  ...PLACES,
  ...ADDRESSES,
  ...WORK,
  ...DEADLINES,
  ...PEOPLE,
  ...IDENTITY_PROVIDERS,
  ...GITHUB,
}

export type ConfigField = keyof typeof CONFIG_KEYS
