import type { AddCommand } from '../add-command.ts'
import { findOrganization, readOrganizations } from '../find-organization.ts'
import { formatAgo, formatTable } from '../format.ts'
import { show, type Session } from '../session.ts'

export const addOrganizations: AddCommand = (program, run) => {
  const orgs = program.command('orgs').description('Organizations: who works together on what')
  orgs.command('list').description('List organizations').action(run(listOrganizations))
  orgs
    .command('create <name>')
    .description('Create an organization; here its owner is invited afterwards')
    .option('--slug <slug>', 'its short name in commands; made of the name unless given')
    .action(run(createOrganization))
  orgs
    .command('close <slug>')
    .description('End the access of its people; one that has projects is not closed')
    .action(run(closeOrganization))
  orgs
    .command('reopen <slug>')
    .description('Give the people of a closed one their access back')
    .action(run(reopenOrganization))
}

async function listOrganizations(session: Session): Promise<void> {
  const items = await readOrganizations(session)
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['SLUG', 'NAME', 'ROLE', 'CREATED', 'STATE', 'ID'],
      items.map((item) => [
        item.slug,
        item.name,
        item.role ?? 'operator',
        formatAgo(item.created_at, now),
        item.closed_at === null ? 'open' : `closed ${formatAgo(item.closed_at, now)}`,
        item.id,
      ]),
      'No organizations',
    ),
  )
}

async function createOrganization(
  session: Session,
  [name = '']: string[],
  options: { slug?: string },
): Promise<void> {
  const created = await session.client.call('organizations.create', { body: { name, ...options } })
  show(
    session,
    created,
    () => `Created ${created.name}
Invite its owner with "nanoscale --org ${created.slug} members invite <email> --role owner"`,
  )
}

async function closeOrganization(session: Session, [slug = '']: string[]): Promise<void> {
  const { id, name } = await findOrganization(session, slug)
  await session.client.call('organizations.close', { params: { id } })
  show(session, { id, closed: true }, () => `Closed ${name}: its people have no access any more`)
}

async function reopenOrganization(session: Session, [slug = '']: string[]): Promise<void> {
  const { id } = await findOrganization(session, slug)
  const reopened = await session.client.call('organizations.reopen', { params: { id } })
  show(session, reopened, () => `Reopened ${reopened.name}`)
}
