import { globSync, readFileSync } from 'node:fs'

import { findBreaches, findHeavyImports } from './boundaries.ts'
import { NOT_AT_START } from './rooms.ts'
import { findForeignHandles } from './transaction-handles.ts'

const read = (path: string) => readFileSync(path, 'utf8')

function findAll(): string[] {
  const files = globSync(['src/**/*.ts', 'dashboard/src/**/*.{ts,tsx}'])
  const breaches = files.flatMap((path) => {
    const text = read(path)
    return [...findBreaches(path, text), ...findForeignHandles(path, text)]
  })
  const heavy = Object.entries(NOT_AT_START).flatMap(([entry, packages]) =>
    findHeavyImports(entry, packages, read),
  )
  return [...breaches, ...heavy]
}

const breaches = findAll()
for (const breach of breaches) console.log(breach)
process.exitCode = breaches.length === 0 ? 0 : 1
