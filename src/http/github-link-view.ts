import type { Database } from '../database/database.ts'
import type { HookTable } from '../database/webhook-tables.ts'
import type { Project } from '../projects/project-records.ts'
import type { ProjectView } from './project-view.ts'

type GithubView = NonNullable<ProjectView['github']>

/** Where projects come from at GitHub, by the project's id; nothing for those with another kind of source. */
export async function readGithubLinks(
  db: Database,
  projects: readonly Project[],
): Promise<ReadonlyMap<string, GithubView>> {
  const ids = projects
    .filter((project) => project.source_provider === 'github')
    .map((project) => project.id)
  if (ids.length === 0) return new Map()
  const links = await db
    .selectFrom('project_github_links as link')
    .leftJoin('hooks', 'hooks.id', 'link.hook_id')
    .selectAll('link')
    .select(['hooks.state as hook_state', 'hooks.error_message as hook_error'])
    .where('link.project_id', 'in', ids)
    .execute()
  const repositories = await db
    .selectFrom('github_repositories')
    .select(['integration_id', 'repo_id', 'is_private', 'last_synced_at'])
    .where(
      'repo_id',
      'in',
      links.map((link) => link.repo_id),
    )
    .orderBy('last_synced_at')
    .execute()
  // Unless GitHub said otherwise, it is nobody's business.
  const isPrivate = new Map(
    repositories.map((row) => [`${row.integration_id} ${row.repo_id}`, row.is_private]),
  )
  return new Map(
    links.map((link) => [
      link.project_id,
      {
        integration_id: link.integration_id,
        installation_id: link.installation_id,
        repo_id: link.repo_id,
        full_name: link.full_name,
        private: isPrivate.get(`${link.integration_id} ${link.repo_id}`) ?? true,
        default_branch: link.default_branch,
        active: link.active,
        inactive_reason: link.inactive_reason,
        webhook: webhookOf(link.hook_state),
        webhook_error: link.hook_error,
      },
    ]),
  )
}

function webhookOf(state: HookTable['state'] | null): GithubView['webhook'] {
  if (state === null) return 'app'
  return state === 'active' || state === 'failed' ? state : 'pending'
}
