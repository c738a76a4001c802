import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

import { readProcessCommandLines } from './process-command-lines.ts'

const MANIFESTS = ['package.json', 'package-lock.json']

/**
 * Copies the program to `<data>/program/<hash of its files>`, readable by all and writable by root alone, and returns
 * that directory. Control and traffic run from there: the checkout may be unreadable to them, or change under them.
 */
export function installProgram(options: { dataDirectory: string; checkout: string }): string {
  const { checkout } = options
  const sources = sourcesOf(checkout)
  const place = join(options.dataDirectory, 'program', hashOf(checkout, sources))
  if (existsSync(place)) return place
  const staging = `${place}.${process.pid}`
  try {
    for (const file of [...MANIFESTS, ...sources]) copy(join(checkout, file), join(staging, file))
    for (const directory of productionPackages(checkout)) copyPackage(checkout, staging, directory)
    renameSync(staging, place)
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  return place
}

/** Removes the copies that are neither `current` nor what a running process was started from. */
export function removeOldPrograms(dataDirectory: string, current: string): void {
  const parent = join(dataDirectory, 'program')
  const running = readProcessCommandLines()
  for (const name of readdirSync(parent)) {
    const place = join(parent, name)
    if (place === current || running.some((line) => line.includes(`${place}/`))) continue
    rmSync(place, { recursive: true, force: true })
  }
}

function sourcesOf(checkout: string): string[] {
  // What browsers run is JavaScript.
  return globSync('src/**/*.{ts,js}', { cwd: checkout })
    .filter((file) => !file.endsWith('.test.ts'))
    .sort()
}

function hashOf(checkout: string, sources: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of [...MANIFESTS, ...sources]) {
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(checkout, file)))
      .update('\0')
  }
  return hash.digest('hex').slice(0, 16)
}

interface Lock {
  packages: Record<string, { dev?: boolean; devOptional?: boolean }>
}

function productionPackages(checkout: string): string[] {
  const lock = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8')) as Lock
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional)
    .map(([path]) => path)
    .filter((path) => existsSync(join(checkout, path)))
}

/** Types and source maps are for developers; what is nested below is a package of its own in the lock file. */
function copyPackage(checkout: string, staging: string, directory: string): void {
  const files = globSync('**/*', {
    cwd: join(checkout, directory),
    exclude: ({ name }) => name === 'node_modules' || /\.(map|d\.[cm]?ts)$/.test(name),
    withFileTypes: true,
  })
  for (const entry of files) {
    if (!entry.isFile()) continue
    const from = join(entry.parentPath, entry.name)
    copy(from, join(staging, from.slice(checkout.length)))
  }
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true, mode: 0o755 })
  copyFileSync(from, to)
  chmodSync(to, 0o644)
}
