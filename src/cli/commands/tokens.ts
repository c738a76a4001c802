import { InvalidArgumentError } from 'commander'

import type { AddCommand } from '../add-command.ts'
import { formatAgo, formatTable } from '../format.ts'
import { readPages, show, type Session } from '../session.ts'

export const addTokens: AddCommand = (program, run) => {
  const tokens = program.command('tokens').description('Tokens for other machines and programs')
  tokens
    .command('create <name>')
    .description('Create a token; it is shown once')
    .option('--expires-in <days>', 'days until it expires', parseDays)
    .action(run(createToken))
  tokens.command('list').description('List tokens').action(run(listTokens))
  tokens.command('revoke <id>').description('Revoke a token at once').action(run(revokeToken))
}

function parseDays(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('it must be a number of days')
}

async function createToken(
  session: Session,
  [name = '']: string[],
  options: { expiresIn?: number },
): Promise<void> {
  const body = { name, expires_in_days: options.expiresIn ?? null }
  const created = await session.client.call('tokens.create', { body })
  // The token alone on standard output, so that it can be piped.
  if (!session.json) session.err('Keep this token: it is not shown again')
  show(session, created, () => created.token)
}

async function listTokens(session: Session): Promise<void> {
  const items = await readPages(
    (cursor) => session.client.call('tokens.list', { query: { cursor, limit: 200 } }),
    1000,
  )
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['ID', 'NAME', 'HINT', 'CREATED', 'LAST USED', 'STATE'],
      items.map((item) => [
        item.id,
        item.name,
        item.hint,
        formatAgo(item.created_at, now),
        formatAgo(item.last_used_at, now),
        stateOf(item, now),
      ]),
      'No tokens',
    ),
  )
}

function stateOf(token: { revoked_at: string | null; expires_at: string | null }, now: number) {
  if (token.revoked_at !== null) return 'revoked'
  if (token.expires_at === null) return 'valid'
  return Date.parse(token.expires_at) <= now ? 'expired' : `until ${token.expires_at.slice(0, 10)}`
}

async function revokeToken(session: Session, [id = '']: string[]): Promise<void> {
  await session.client.call('tokens.revoke', { params: { id } })
  show(session, { id, revoked: true }, () => 'Revoked')
}
