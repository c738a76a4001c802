import { existsSync, globSync, readFileSync } from 'node:fs'

import { findBreaches, findHeavyImports } from './boundaries.ts'
import { findForeignHandles } from './transaction-handles.ts'

const TRAFFIC_ENTRY = 'src/run-traffic.ts'

const read = (path: string) => readFileSync(path, 'utf8')

function findAll(): string[] {
  const files = globSync(['src/**/*.ts', 'dashboard/src/**/*.{ts,tsx}'])
  const breaches = files.flatMap((path) => {
    const text = read(path)
    return [...findBreaches(path, text), ...findForeignHandles(path, text)]
  })
  if (existsSync(TRAFFIC_ENTRY)) breaches.push(...findHeavyImports(TRAFFIC_ENTRY, read))
  return breaches
}

const breaches = findAll()
for (const breach of breaches) console.log(breach)
process.exitCode = breaches.length === 0 ? 0 : 1
