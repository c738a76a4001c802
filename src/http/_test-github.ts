/** A GitHub App of tests with an installation, as it is in the database when there is one. */
import type { Database } from '../database/database.ts'
import type { GithubAppConfig } from '../integrations/github-app-config.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'

export const APP_CONFIG: GithubAppConfig = {
  appId: 1,
  slug: 'nanoscale-test',
  clientId: 'Iv1.test',
  ownerLogin: 'ada',
  ownerType: 'User',
  apiUrl: 'https://git.example.com/api/v3',
  webUrl: 'https://git.example.com',
  permissionsPreset: 'deploy',
  optionalPermissions: [],
}

/** The ids of both. */
export async function addGithubApp(
  { db, clock }: { db: Database; clock: Clock },
  organizationId: string | null,
): Promise<{ app: string; installation: string }> {
  const now = toIsoTime(clock.now())
  const [app, installation] = [newId(), newId()]
  const times = { created_at: now, updated_at: now }
  await db
    .insertInto('integrations')
    .values({
      id: app,
      organization_id: organizationId,
      user_id: null,
      type: 'github',
      name: 'App',
      status: 'active',
      status_reason: null,
      config: { ...APP_CONFIG },
      swept_at: null,
      last_used_at: null,
      ...times,
    })
    .execute()
  await db
    .insertInto('github_installations')
    .values({
      id: installation,
      integration_id: app,
      installation_id: 10,
      account_id: 20,
      account_login: 'acme',
      account_type: 'Organization',
      target_type: 'Organization',
      target_id: 20,
      repository_selection: 'all',
      permissions: {},
      events: [],
      html_url: 'https://git.example.com/acme',
      suspended_at: null,
      organization_id: organizationId,
      local_user_id: null,
      removed_at: null,
      synced_at: null,
      sync_error: null,
      sync_token: null,
      sync_until: null,
      ...times,
    })
    .execute()
  return { app, installation }
}
