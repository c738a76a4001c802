import { InvalidArgumentError } from 'commander'

import { SCOPES, type Scope } from '../../contract/permissions.ts'
import type { AddCommand } from '../add-command.ts'
import { formatAgo, formatTable } from '../format.ts'
import { readPages, show, type Session } from '../session.ts'

export const addTokens: AddCommand = (program, run) => {
  const tokens = program.command('tokens').description('Tokens for other machines and programs')
  tokens
    .command('create <name>')
    .description('Create a token; it is shown once')
    .option('--expires-in <days>', 'days until it expires', parseDays)
    .option('--scopes <scopes>', `what it may: ${Object.keys(SCOPES).join(',')}`, parseScopes)
    .action(run(createToken))
  tokens.command('list').description('List tokens').action(run(listTokens))
  tokens.command('revoke <id>').description('Revoke a token at once').action(run(revokeToken))
}

function parseDays(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('it must be a number of days')
}

type ScopeName = Scope | '*'

function parseScopes(text: string): ScopeName[] {
  return text.split(',').map((name) => {
    const trimmed = name.trim()
    if (trimmed === '*' || Object.hasOwn(SCOPES, trimmed)) return trimmed as ScopeName
    const known = ['*', ...Object.keys(SCOPES)].join(', ')
    throw new InvalidArgumentError(`"${trimmed}" is none of ${known}`)
  })
}

async function createToken(
  session: Session,
  [name = '']: string[],
  options: { expiresIn?: number; scopes?: ScopeName[] },
): Promise<void> {
  const { expiresIn: expires_in_days, scopes } = options
  const body = { name, expires_in_days, scopes }
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
      ['ID', 'NAME', 'MADE BY', 'HINT', 'SCOPES', 'CREATED', 'LAST USED', 'STATE'],
      items.map((item) => [
        item.id,
        item.name,
        item.created_by?.name ?? 'the operator',
        item.hint,
        item.scopes.join(','),
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
