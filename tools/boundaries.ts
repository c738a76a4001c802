import { posix } from 'node:path'

import { parseSync } from 'oxc-parser'

/**
 * The walls between rooms. A room is a folder of `src`, an adapter's folder, or a file at the top of `src`; each may
 * import itself and what stands here. A name that ends in `.ts` allows that one file of a room.
 */
const ROOMS: Readonly<Record<string, Wall>> = {
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

interface Wall {
  /** Rooms and files that it may import. */
  rooms?: readonly string[]
  /** Instead of `rooms`: all but these. */
  allBut?: readonly string[]
  /** npm packages that it may import; all when missing. */
  packages?: readonly string[]
  why: string
}

/** Rooms whose folders of adapters are rooms of their own: only `app.ts` names one. */
const ADAPTER_ROOMS = ['runtimes', 'githosts']

/** Compose the others, so nothing but the process's start may import them. */
const TOP = ['app.ts', 'main.ts', 'start.ts', 'stop.ts', 'control.ts', 'run-traffic.ts']

/** The traffic process's own files load none of these: it must stay small. */
const NOT_IN_TRAFFIC = ['kysely', 'pg', 'zod']

interface Import {
  specifier: string
  line: number
  typeOnly: boolean
}

/** Breaches of the walls in one file. `path` is relative to the repository, with `/`. */
export function findBreaches(path: string, text: string): string[] {
  return importsOf(path, text).flatMap((found) => {
    const breach = breachOf(path, found)
    return breach === null ? [] : [`${path}:${found.line} ${breach}`]
  })
}

function breachOf(path: string, found: Import): string | null {
  const target = found.specifier.startsWith('.')
    ? posix.join(posix.dirname(path), found.specifier)
    : null
  if (path.startsWith('dashboard/')) return dashboardBreach(target)
  if (!path.startsWith('src/') || isTest(path)) return null
  if (target === null) return packageBreach(path, found)
  if (!target.startsWith('src/')) return `imports ${target}: src stands on its own`
  return roomBreach(path.slice(4), target.slice(4), found)
}

function dashboardBreach(target: string | null): string | null {
  if (target === null || target.startsWith('dashboard/')) return null
  return target.startsWith('src/contract/') ? null : `imports ${target}: only the contract is open`
}

/** Tests may arrange with anything: what they import is never shipped. */
function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || posix.basename(path).startsWith('_')
}

function packageBreach(path: string, found: Import): string | null {
  const room = roomOf(path.slice(4))
  const name = found.specifier
    .split('/')
    .slice(0, found.specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (name.startsWith('node:')) {
    return room === 'contract' ? `imports ${name}: browsers read the contract` : null
  }
  const allowed = ROOMS[room]?.packages
  if (allowed !== undefined && !allowed.includes(name)) {
    return `imports ${name}: "${room}" may import only ${allowed.join(', ')}`
  }
  return null
}

function roomBreach(from: string, to: string, found: Import): string | null {
  const [here, there] = [roomOf(from), roomOf(to)]
  if (here === there) return null
  if (isAdapter(there) && !['app.ts', 'control.ts'].includes(here)) {
    return `imports ${to}: only app.ts names an adapter`
  }
  if (TOP.includes(there) && !mayImportTop(here, there, found)) {
    return `imports ${to}: only the start of a process does`
  }
  const wall = ROOMS[isAdapter(here) ? parentOf(here) : here]
  if (wall === undefined || mayImport(wall, here, there, to)) return null
  return `imports ${to}: "${here}" may not${wall.why === '' ? '' : `, because ${wall.why}`}`
}

function mayImportTop(here: string, there: string, found: Import): boolean {
  return TOP.includes(here) || (here === 'http' && there === 'app.ts' && found.typeOnly)
}

function mayImport(wall: Wall, here: string, there: string, to: string): boolean {
  if (wall.allBut !== undefined) return !wall.allBut.includes(parentOf(there))
  // An adapter may read its interface beside it.
  if (isAdapter(here) && there === parentOf(here)) return true
  const allowed = wall.rooms ?? []
  return allowed.includes(there) || allowed.includes(to)
}

/** `runtimes/process/start.ts` → `runtimes/process`; `spawner/spawner.ts` → `spawner`; `app.ts` → `app.ts`. */
function roomOf(path: string): string {
  const directory = posix.dirname(path)
  if (directory === '.') return path
  const [first = '', second] = directory.split('/')
  const pair = `${first}/${second}`
  return second !== undefined && (pair in ROOMS || ADAPTER_ROOMS.includes(first)) ? pair : first
}

function isAdapter(room: string): boolean {
  return room.includes('/') && ADAPTER_ROOMS.includes(parentOf(room))
}

function parentOf(room: string): string {
  return room.split('/')[0] ?? room
}

/** Every import, re-export and dynamic import of a file, types included. */
function importsOf(path: string, text: string): Import[] {
  const { module } = parseSync(path, text)
  const at = (offset: number) => text.slice(0, offset).split('\n').length
  return [
    ...module.staticImports.map((found) => ({
      specifier: found.moduleRequest.value,
      line: at(found.start),
      typeOnly: found.entries.length > 0 && found.entries.every((entry) => entry.isType),
    })),
    ...module.staticExports.flatMap((found) =>
      found.entries.flatMap((entry) =>
        entry.moduleRequest === null
          ? []
          : [
              {
                specifier: entry.moduleRequest.value,
                line: at(found.start),
                typeOnly: entry.isType,
              },
            ],
      ),
    ),
    ...module.dynamicImports.map((found) => ({
      specifier: text.slice(found.moduleRequest.start + 1, found.moduleRequest.end - 1),
      line: at(found.start),
      typeOnly: false,
    })),
  ]
}

/** Packages that the traffic process would load from `entry`, following value imports; `read` gives a file's text. */
export function findHeavyImports(entry: string, read: (path: string) => string): string[] {
  const seen = new Set<string>()
  const breaches: string[] = []
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const found of importsOf(path, read(path))) {
      if (found.typeOnly) continue
      if (found.specifier.startsWith('.')) {
        visit(posix.join(posix.dirname(path), found.specifier))
      } else if (NOT_IN_TRAFFIC.includes(found.specifier)) {
        breaches.push(`${path}:${found.line} loads ${found.specifier} into the traffic process`)
      }
    }
  }
  visit(entry)
  return breaches
}
