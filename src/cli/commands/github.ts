import type { AddCommand } from '../add-command.ts'
import { readRepositories } from '../find-repository.ts'
import { formatAgo, formatFields, formatTable } from '../format.ts'
import { show, type Session } from '../session.ts'

export const addGithub: AddCommand = (program, run) => {
  const github = program
    .command('github')
    .description('GitHub: what is connected, and its repositories')
  github.command('status').description('Show which account is connected').action(run(showStatus))
  github
    .command('installations')
    .description('List where the GitHub App is installed, as far as you reach')
    .action(run(listInstallations))
  github
    .command('repos')
    .description('List repositories that a project can be made of')
    .option('--query <text>', 'a part of owner/name')
    .option('--sync', 'read them from GitHub again')
    .action(run(listRepositories))
}

async function showStatus(session: Session): Promise<void> {
  const status = await session.client.call('github.status', {})
  show(session, status, () =>
    formatFields([
      ['Connected', status.connected ? 'yes' : 'no'],
      ['Account', status.login],
      ['Apps', status.apps.map(({ name }) => name).join(', ') || null],
      [
        'Installed at',
        status.installations.map(({ account_login }) => account_login).join(', ') || null,
      ],
    ]),
  )
}

async function listInstallations(session: Session): Promise<void> {
  const { items } = await session.client.call('github.installations', {})
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['INSTALLATION', 'ACCOUNT', 'REPOSITORIES', 'STATE', 'READ'],
      items.map((item) => [
        String(item.installation_id),
        item.account_login,
        item.repository_selection,
        item.suspended_at === null ? (item.claimed ? 'claimed' : 'connected') : 'suspended',
        item.synced_at === null ? (item.sync_error ?? 'not yet') : formatAgo(item.synced_at, now),
      ]),
      'The GitHub App is installed nowhere that you reach',
    ),
  )
}

async function listRepositories(
  session: Session,
  _args: string[],
  { query, sync = false }: { query?: string; sync?: boolean },
): Promise<void> {
  const items = await readRepositories(session, { sync, ...(query === undefined ? {} : { query }) })
  show(session, items, () =>
    formatTable(
      ['REPOSITORY', 'VISIBLE TO', 'BRANCH', 'STATE'],
      items.map((item) => [
        item.full_name,
        item.private ? 'members' : 'everybody',
        item.default_branch,
        item.archived ? 'archived' : item.selectable ? 'ready' : 'read only',
      ]),
      'There is no repository here. Read them from GitHub with "nanoscale github repos --sync"',
    ),
  )
}
