export interface Wall {
  /** Rooms and files that it may import. */
  rooms?: readonly string[]
  /** Instead of `rooms`: all but these. */
  allBut?: readonly string[]
  /** npm packages that it may import; all when missing. */
  packages?: readonly string[]
  why: string
}

/**
 * The walls between rooms. A room is a folder of `src`, an adapter's folder, or a file at the top of `src`; each may
 * import itself and what stands here. A name that ends in `.ts` allows that one file of a room.
 */
export const ROOMS: Readonly<Record<string, Wall>> = {
  lib: { rooms: [], why: 'it knows nothing of the product' },
  contract: { rooms: [], packages: ['zod', '@hono/zod-openapi'], why: 'browsers read it' },
  database: { rooms: ['lib', 'database/migrations'], why: 'everything else stands on it' },
  'database/migrations': {
    rooms: ['database/migrations/tables.ts'],
    packages: ['kysely'],
    why: 'a migration must not change when code does',
  },
  config: { rooms: ['lib', 'database/open-database.ts'], why: 'it is read before all else' },
  secrets: { rooms: ['lib', 'database'], why: 'every other room leans on it' },
  spawner: { rooms: ['lib'], why: 'it runs as root' },
  runtimes: { rooms: ['lib', 'spawner', 'database/schema.ts'], why: 'adapters ask the machine' },
  sources: { rooms: ['lib', 'spawner', 'secrets', 'database'], why: '' },
  builds: { rooms: ['lib', 'spawner', 'secrets', 'database', 'sources'], why: '' },
  traffic: { rooms: ['lib', 'database'], why: 'it must outlive the rest' },
  audit: { rooms: ['lib', 'database', 'secrets', 'jobs'], why: 'every other room writes to it' },
  mail: { rooms: ['lib'], why: 'it carries what it is given' },
  identity: {
    rooms: ['lib', 'database', 'secrets', 'audit', 'mail', 'jobs', 'contract/permissions.ts'],
    why: 'it asks nobody who somebody is',
  },
  projects: {
    rooms: [
      'lib',
      'audit',
      'database',
      'secrets',
      'identity',
      // What a repository and a branch may be called, and nothing that fetches.
      'sources/repository-url.ts',
      'sources/branch-name.ts',
    ],
    why: '',
  },
  jobs: { rooms: ['lib', 'database'], why: 'it carries any kind of work' },
  githosts: {
    rooms: ['lib', 'database/schema.ts', 'sources/outbound-guard.ts', 'sources/repository-url.ts'],
    why: 'adapters know one host and nothing of ours',
  },
  integrations: {
    rooms: [
      'lib',
      'config',
      'database',
      'secrets',
      'audit',
      'identity',
      'jobs',
      'githosts/github-host.ts',
      'contract/permissions.ts',
    ],
    why: 'adapters come through app.ts',
  },
  webhooks: {
    rooms: [
      'lib',
      'config',
      'database',
      'secrets',
      'audit',
      'jobs',
      'integrations',
      'deployments/reconcile-branch.ts',
    ],
    why: 'it decides nothing: it makes others look',
  },
  deployments: {
    rooms: [
      'lib',
      'audit',
      'config',
      'database',
      'secrets',
      'projects',
      'sources',
      'builds',
      'runtimes/runtime.ts',
      'spawner',
      'traffic',
      'jobs',
    ],
    why: 'adapters come through app.ts',
  },
  http: {
    rooms: [
      'lib',
      'audit',
      'mail',
      'config',
      'contract',
      'database',
      'secrets',
      'identity',
      'projects',
      'integrations',
      'webhooks',
      'githosts/github-host.ts',
      'sources',
      'builds',
      'traffic',
      'jobs',
      'deployments',
      'runtimes/runtime.ts',
      'spawner',
      'app.ts',
    ],
    why: 'it names no adapter',
  },
  cli: { rooms: ['lib', 'contract'], why: 'it is a client of the API' },
  'cli/offline': {
    rooms: [
      'lib',
      'contract',
      'cli',
      'config',
      'database',
      'secrets',
      'identity',
      'audit',
      'spawner',
      'doctor',
    ],
    why: 'it works while no server runs, and not through its rooms',
  },
  'cli/demo': { rooms: ['lib', 'contract', 'cli'], why: 'it is a client that also has a Git host' },
  doctor: {
    rooms: ['lib', 'config', 'database', 'secrets', 'spawner', 'traffic'],
    why: 'it must work when the rest does not',
  },
  platform: { rooms: ['lib', 'config', 'spawner', 'traffic'], why: 'it runs as root' },
  'app.ts': { allBut: ['http', 'cli'], why: 'it composes what they use' },
}

/** Rooms whose folders of adapters are rooms of their own: only `app.ts` names one. */
export const ADAPTER_ROOMS = ['runtimes', 'githosts']

/** Compose the others, so nothing but the process's start may import them. */
export const TOP = ['app.ts', 'main.ts', 'start.ts', 'stop.ts', 'control.ts', 'run-traffic.ts']

/** What a process must not load when it starts: these packages take memory and time that most never need. */
export const NOT_AT_START: Readonly<Record<string, readonly string[]>> = {
  'src/run-traffic.ts': ['kysely', 'pg', 'zod'],
  // Loaded by `import()` when somebody signs in, by whatever way, or a mail is sent.
  'src/control.ts': ['better-auth', 'jose', 'nodemailer', 'openid-client'],
}
