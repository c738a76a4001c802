import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { findBreaches, findHeavyImports } from './boundaries.ts'

const BREACHES: readonly [what: string, path: string, text: string][] = [
  ['lib that knows a room', 'src/lib/clock.ts', `import { a } from '../projects/a.ts'`],
  ['a type import', 'src/jobs/queue.ts', `import type { A } from '../deployments/a.ts'`],
  ['a re-export', 'src/identity/a.ts', `export { a } from '../http/a.ts'`],
  ['a re-export of all', 'src/identity/a.ts', `export * from '../http/a.ts'`],
  ['a dynamic import', 'src/deployments/a.ts', `const a = await import('../http/a.ts')`],
  [
    'an adapter named outside app.ts',
    'src/deployments/a.ts',
    `import { a } from '../runtimes/process/a.ts'`,
  ],
  [
    'an adapter named by its interface',
    'src/runtimes/runtime.ts',
    `import { a } from './process/a.ts'`,
  ],
  [
    'an adapter named by another',
    'src/runtimes/docker/a.ts',
    `import { a } from '../process/a.ts'`,
  ],
  ['app.ts imported by a room', 'src/projects/a.ts', `import type { App } from '../app.ts'`],
  ['app.ts used by http as a value', 'src/http/a.ts', `import { createApp } from '../app.ts'`],
  ['app.ts that imports http', 'src/app.ts', `import { a } from './http/server.ts'`],
  [
    'a migration that imports the schema',
    'src/database/migrations/0001-a.ts',
    `import type { A } from '../schema.ts'`,
  ],
  [
    'a migration that imports a package',
    'src/database/migrations/0001-a.ts',
    `import { z } from 'zod'`,
  ],
  ['a contract that imports a package', 'src/contract/a.ts', `import { sql } from 'kysely'`],
  ['a contract that imports Node', 'src/contract/a.ts', `import { join } from 'node:path'`],
  [
    'an online command that opens the database',
    'src/cli/a.ts',
    `import { a } from '../database/open-database.ts'`,
  ],
  [
    'a dashboard that imports the server',
    'dashboard/src/a.tsx',
    `import { a } from '../../src/lib/clock.ts'`,
  ],
  ['src that imports a test', 'src/lib/a.ts', `import { a } from '../../test/_databases.ts'`],
]

const ALLOWED: readonly [what: string, path: string, text: string][] = [
  ['a room its own files', 'src/jobs/queue.ts', `import { a } from './lanes.ts'`],
  [
    'a file of another room',
    'src/projects/a.ts',
    `import { a } from '../sources/repository-url.ts'`,
  ],
  [
    'an adapter its interface',
    'src/runtimes/process/a.ts',
    `import type { Runtime } from '../runtime.ts'`,
  ],
  ['app.ts an adapter', 'src/app.ts', `import { a } from './runtimes/process/a.ts'`],
  ['http the type of the app', 'src/http/a.ts', `import type { App } from '../app.ts'`],
  [
    'a migration kysely and its tables',
    'src/database/migrations/0001-a.ts',
    `import { sql } from 'kysely'\nimport { a } from './tables.ts'`,
  ],
  [
    'an offline command the database',
    'src/cli/offline/a.ts',
    `import { a } from '../../database/open-database.ts'`,
  ],
  [
    'the dashboard the contract',
    'dashboard/src/a.tsx',
    `import { a } from '../../src/contract/routes.ts'`,
  ],
  ['a test anything', 'src/lib/a.test.ts', `import { a } from '../../test/_databases.ts'`],
]

describe('findBreaches()', () => {
  for (const [what, path, text] of BREACHES) {
    it(`refuses ${what}`, () => assert.equal(findBreaches(path, text).length, 1))
  }
  for (const [what, path, text] of ALLOWED) {
    it(`allows ${what}`, () => assert.deepEqual(findBreaches(path, text), []))
  }

  it('names the file, the line and the reason', () => {
    const text = `import a from 'zod'\nimport { b } from '../http/b.ts'`
    assert.deepEqual(findBreaches('src/cli/a.ts', text), [
      'src/cli/a.ts:2 imports src/http/b.ts: "cli" may not, because it is a client of the API'.replace(
        'src/http',
        'http',
      ),
    ])
  })
})

describe('findHeavyImports()', () => {
  it('follows value imports, and leaves types and what is loaded later alone', () => {
    const files: Record<string, string> = {
      'src/traffic/a.ts': `import './b.ts'\nimport type { C } from './c.ts'\nawait import('./d.ts')`,
      'src/traffic/b.ts': `import { sql } from 'kysely/helpers'\nimport { z } from 'zod'`,
      'src/traffic/c.ts': `import pg from 'pg'`,
      'src/traffic/d.ts': `import pg from 'pg'`,
    }
    assert.deepEqual(
      findHeavyImports('src/traffic/a.ts', ['kysely', 'pg'], (path) => files[path] ?? ''),
      ['src/traffic/b.ts:1 loads kysely/helpers when src/traffic/a.ts starts'],
    )
  })
})
