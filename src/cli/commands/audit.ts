import { InvalidArgumentError } from 'commander'

import type { AddCommand } from '../add-command.ts'
import { formatTable } from '../format.ts'
import { readPages, show, type Session } from '../session.ts'

interface FilterOptions {
  action?: string
  actor?: string
  target?: string
  outcome?: 'done' | 'refused' | 'failed'
  since?: string
  until?: string
}

const OUTCOMES = ['done', 'refused', 'failed']

export const addAudit: AddCommand = (program, run) => {
  const audit = program
    .command('audit')
    .description('Who did what, and proof that it was not changed')
  const withFilters = (name: string) =>
    audit
      .command(name)
      .option('--action <name>', 'only this action, such as member.removed')
      .option('--actor <id>', 'only what this person or token did')
      .option('--target <id>', 'only what was done to this')
      .option('--outcome <outcome>', OUTCOMES.join(', '), parseOutcome)
      .option('--since <time>', 'a time, or how long ago: 30m, 12h, 7d', parseSince)
      .option('--until <time>', 'before a time, or so long ago', parseSince)
  withFilters('list')
    .description('List events, newest first')
    .option('--limit <number>', 'how many at most', parseLimit, 100)
    .action(run(listEvents))
  withFilters('export')
    .description('Print events as lines of JSON, oldest first')
    .action(run(exportEvents))
}

function parseOutcome(text: string): string {
  if (OUTCOMES.includes(text)) return text
  throw new InvalidArgumentError(`it is one of ${OUTCOMES.join(', ')}`)
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('it must be a number up to 99999')
}

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** How long ago (`7d`), or a time; of a time without a zone the machine's own counts. */
export function parseSince(text: string, _before?: unknown, now = Date.now()): string {
  const ago = /^(\d{1,5})([mhd])$/.exec(text)
  const ms =
    ago === null ? Date.parse(text) : now - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS]
  if (Number.isNaN(ms)) throw new InvalidArgumentError('it must be like 30m, 12h, 7d or 2026-01-31')
  return new Date(ms).toISOString()
}

function queryOf({ action, actor, target, outcome, since, until }: FilterOptions) {
  return { action, actor_id: actor, target_id: target, outcome, since, until }
}

async function listEvents(
  session: Session,
  _args: string[],
  options: FilterOptions & { limit: number },
): Promise<void> {
  const query = queryOf(options)
  const limit = Math.min(options.limit, 200)
  const items = await readPages(
    (cursor) => session.client.call('audit.list', { query: { ...query, cursor, limit } }),
    options.limit,
  )
  show(session, items, () =>
    formatTable(
      ['TIME', 'WHO', 'ACTION', 'OUTCOME', 'TARGET', 'FROM'],
      items.map((item) => [
        item.occurred_at.slice(0, 19).replace('T', ' '),
        item.actor.name ?? item.actor.id ?? item.actor.kind,
        item.action,
        item.outcome,
        item.target === null ? '' : `${item.target.kind} ${item.target.name ?? item.target.id}`,
        item.address ?? '',
      ]),
      'No events',
    ),
  )
}

async function exportEvents(
  session: Session,
  _args: string[],
  options: FilterOptions,
): Promise<void> {
  for await (const line of session.client.lines('audit.export', { query: queryOf(options) })) {
    session.out(line)
  }
}
