import type { AddCommand } from '../add-command.ts'
import { formatAgo, formatTable } from '../format.ts'
import { findProject, show, type Session } from '../session.ts'

export const addDomains: AddCommand = (program, run) => {
  const domains = program.command('domains').description('Own domains of an app')
  domains
    .command('add <project> <domain>')
    .description('Serve the app under a domain too')
    .action(run(addDomain))
  domains
    .command('remove <project> <domain>')
    .description('Stop serving the app under a domain')
    .action(run(removeDomain))
  domains.command('list [project]').description('List domains').action(run(listDomains))
}

async function addDomain(session: Session, [name, hostname = '']: string[]): Promise<void> {
  const { id, url } = await findProject(session, name)
  const domain = await session.client.call('domains.add', { params: { id }, body: { hostname } })
  const host = new URL(url).hostname
  show(
    session,
    domain,
    () => `Added ${domain.hostname}: ${domain.url}
Point it here in its DNS, at the same address as ${host}`,
  )
}

async function removeDomain(session: Session, [name, hostname = '']: string[]): Promise<void> {
  const { id } = await findProject(session, name)
  await session.client.call('domains.remove', { params: { id, hostname } })
  show(session, { hostname, removed: true }, () => `Removed ${hostname}`)
}

async function listDomains(session: Session, [name]: (string | undefined)[]): Promise<void> {
  const { id } = await findProject(session, name)
  const { items } = await session.client.call('domains.list', { params: { id } })
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['DOMAIN', 'URL', 'ADDED'],
      items.map((item) => [item.hostname, item.url, formatAgo(item.created_at, now)]),
      'No own domains',
    ),
  )
}
