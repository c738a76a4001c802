import { CliError } from './cli-error.ts'
import { readPages, type Session } from './session.ts'

/** The source of a project from `owner/name`, as far as the asker reaches it at GitHub. */
export async function findRepository(session: Session, fullName: string) {
  const { items } = await session.client.call('github.installations', {})
  const wanted = fullName.toLowerCase()
  const [owner = ''] = wanted.split('/')
  const nearest = items.toSorted(
    (a, b) => Number(isOf(b.account_login, owner)) - Number(isOf(a.account_login, owner)),
  )
  for (const { installation_id, integration_id } of nearest) {
    const query = { installation_id, integration_id, query: fullName, limit: 200 }
    const found = await session.client.call('github.repos', { query })
    const repository = found.items.find((item) => item.full_name.toLowerCase() === wanted)
    if (repository !== undefined) return repository
  }
  throw new CliError(
    1,
    `Cannot find repository "${fullName}" at GitHub`,
    items.length === 0
      ? 'Connect GitHub in the browser first, under Integrations'
      : 'See what you reach with "nanoscale github repos --sync"',
  )
}

function isOf(login: string, owner: string): boolean {
  return login.toLowerCase() === owner
}

/** Repositories behind one installation, or behind all that the asker reaches. */
export async function readRepositories(
  session: Session,
  options: { query?: string; sync: boolean },
) {
  const { items } = await session.client.call('github.installations', {})
  const all = []
  for (const { installation_id, integration_id } of items) {
    const place = { installation_id, integration_id }
    if (options.sync) await session.client.call('github.repos.sync', { body: place })
    const { query } = options
    const search = query === undefined ? place : { ...place, query }
    const repositories = await readPages(
      (cursor) => session.client.call('github.repos', { query: { ...search, cursor, limit: 200 } }),
      10_000,
    )
    all.push(...repositories)
  }
  return all
}
