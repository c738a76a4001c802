import { posix } from 'node:path'

import { parseSync } from 'oxc-parser'

import { ADAPTER_ROOMS, ROOMS, TOP, type Wall } from './rooms.ts'

interface Import {
  specifier: string
  line: number
  typeOnly: boolean
  dynamic: boolean
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
  const name = packageOf(found.specifier)
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
      dynamic: false,
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
                dynamic: false,
              },
            ],
      ),
    ),
    ...module.dynamicImports.map((found) => ({
      specifier: text.slice(found.moduleRequest.start + 1, found.moduleRequest.end - 1),
      line: at(found.start),
      typeOnly: false,
      dynamic: true,
    })),
  ]
}

/**
 * Where the process that starts with `entry` would load one of `packages` at once, following value imports; `read`
 * gives a file's text.
 */
export function findHeavyImports(
  entry: string,
  packages: readonly string[],
  read: (path: string) => string,
): string[] {
  const seen = new Set<string>()
  const breaches: string[] = []
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { specifier, line, typeOnly, dynamic } of importsOf(path, read(path))) {
      if (typeOnly || dynamic) continue
      if (specifier.startsWith('.')) visit(posix.join(posix.dirname(path), specifier))
      else if (packages.includes(packageOf(specifier))) {
        breaches.push(`${path}:${line} loads ${specifier} when ${entry} starts`)
      }
    }
  }
  visit(entry)
  return breaches
}

/** `@scope/name/part` → `@scope/name`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
