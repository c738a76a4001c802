import type { z } from 'zod'

import type { project as projectSchema } from '../contract/projects.ts'
import type { Clock } from '../lib/clock.ts'
import type { ApiClient } from './api-client.ts'
import { CliError } from './cli-error.ts'
import { printable } from './format.ts'

export type ProjectOutput = z.infer<typeof projectSchema>

/** What a command works with. */
export interface Session {
  client: ApiClient
  clock: Clock
  /** One JSON document instead of text for people. */
  json: boolean
  out(line: string): void
  err(line: string): void
  /** Sets the exit code of a command that told its failure itself. */
  fail(exitCode: 1): void
}

/** Prints a value as JSON, or its text for people, in which names of others do nothing to their terminal. */
export function show(session: Session, value: unknown, text: () => string): void {
  session.out(session.json ? JSON.stringify(value, null, 2) : printable(text()))
}

/** Finds a project by name or id; without either, the only one. */
export async function findProject(
  session: Session,
  nameOrId: string | undefined,
): Promise<ProjectOutput> {
  if (nameOrId === undefined) return await theOnlyProject(session)
  const named = await session.client.call('projects.list', { query: { name: nameOrId } })
  const [found] = named.items
  if (found !== undefined) return found
  if (/^[0-9a-f]{8}-/.test(nameOrId)) {
    return await session.client.call('projects.read', { params: { id: nameOrId } })
  }
  throw new CliError(
    1,
    `Cannot find project "${nameOrId}"`,
    'See their names with "nanoscale projects list"',
  )
}

async function theOnlyProject(session: Session): Promise<ProjectOutput> {
  const { items } = await session.client.call('projects.list', { query: { limit: 20 } })
  const [first] = items
  if (first === undefined) {
    const fix = 'Create one with "nanoscale projects create <name> --repo <url> --branch <branch>"'
    throw new CliError(2, 'There is no project yet', fix)
  }
  if (items.length === 1) return first
  const names = items.map((item) => item.name).join(', ')
  throw new CliError(2, 'Name the project: there are several', `They are ${names}`)
}

/** All items of a list, page by page, at most `limit`. */
export async function readPages<Item>(
  read: (cursor: string | undefined) => Promise<{ items: Item[]; next_cursor: string | null }>,
  limit: number,
): Promise<Item[]> {
  const items: Item[] = []
  let cursor: string | undefined
  while (items.length < limit) {
    const page = await read(cursor)
    items.push(...page.items)
    if (page.next_cursor === null) break
    cursor = page.next_cursor
  }
  return items.slice(0, limit)
}
