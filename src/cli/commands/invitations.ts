import type { AddCommand } from '../add-command.ts'
import { CliError } from '../cli-error.ts'
import { currentOrganization } from '../find-organization.ts'
import { formatAgo, formatTable } from '../format.ts'
import { readPages, show, type Session } from '../session.ts'

export const addInvitations: AddCommand = (program, run) => {
  const invitations = program.command('invitations').description('Invitations without an answer')
  invitations.command('list').description('List open invitations').action(run(listInvitations))
  invitations
    .command('revoke <email>')
    .description('Take an invitation back')
    .action(run(revokeInvitation))
}

async function readInvitations(session: Session) {
  const id = await currentOrganization(session)
  const items = await readPages(
    (cursor) =>
      session.client.call('invitations.list', { params: { id }, query: { cursor, limit: 200 } }),
    1000,
  )
  return { id, items }
}

async function listInvitations(session: Session): Promise<void> {
  const { items } = await readInvitations(session)
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['EMAIL', 'ROLE', 'PROJECTS', 'INVITED BY', 'INVITED', 'STATE'],
      items.map((item) => [
        item.email,
        item.role,
        item.project_access === 'all' ? 'all' : String(item.project_ids.length),
        item.invited_by ?? 'the operator',
        formatAgo(item.created_at, now),
        Date.parse(item.expires_at) <= now ? 'expired' : `until ${item.expires_at.slice(0, 10)}`,
      ]),
      'No open invitations',
    ),
  )
}

async function revokeInvitation(session: Session, [email = '']: string[]): Promise<void> {
  const { id, items } = await readInvitations(session)
  const wanted = email.toLowerCase()
  const found = items.find((item) => item.email === wanted || item.id === email)
  if (found === undefined) {
    const fix = 'See them with "nanoscale invitations list"'
    throw new CliError(1, `Cannot find an open invitation of "${email}"`, fix)
  }
  await session.client.call('invitations.revoke', { params: { id, invitation_id: found.id } })
  show(session, { id: found.id, revoked: true }, () => `Revoked the invitation of ${found.email}`)
}
