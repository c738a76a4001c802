import { sql } from 'kysely'

import { index, typesOf, type Db } from './tables.ts'

/** Accounts at Git hosts as this instance knows them: Apps, who linked which account, what is installed where. */
export async function up(db: Db): Promise<void> {
  await createIntegrations(db)
  await createUserLinks(db)
  await createInstallations(db)
  await createUnclaimedInstallations(db)
  await createRepositories(db)
}

export async function down(db: Db): Promise<void> {
  const tables = [
    'github_repository_users',
    'github_repositories',
    'unclaimed_installations',
    'github_installation_users',
    'github_installations',
    'github_user_links',
    'integration_credentials',
    'integrations',
  ]
  for (const table of tables) await db.schema.dropTable(table).execute()
}

const ACCOUNT_TYPES = sql`account_type in ('User', 'Organization', 'Enterprise')`

async function createIntegrations(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .createTable('integrations')
    .addColumn('id', text, (c) => c.primaryKey())
    // Null: the App from the environment, which every organization may use.
    .addColumn('organization_id', text, (c) => c.references('organizations.id'))
    .addColumn('user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .addColumn('type', text, (c) =>
      c.notNull().check(sql`type in ('github', 'gitlab', 'bitbucket', 'gitea')`),
    )
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('status', text, (c) =>
      c.notNull().check(sql`status in ('pending', 'active', 'suspended', 'inactive')`),
    )
    .addColumn('status_reason', text)
    .addColumn('config', text, (c) => c.notNull())
    .addColumn('swept_at', text)
    .addColumn('last_used_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'integrations', ['organization_id'])
  await index(db, 'integrations', ['user_id'])
  await db.schema
    .createTable('integration_credentials')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('integration_id', text, (c) =>
      c.notNull().references('integrations.id').onDelete('cascade'),
    )
    .addColumn('kind', text, (c) => c.notNull())
    .addColumn('value_sealed', text, (c) => c.notNull())
    .addColumn('expires_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .addUniqueConstraint('integration_credentials_kind_unique', ['integration_id', 'kind'])
    .execute()
}

async function createUserLinks(db: Db): Promise<void> {
  const { text, bigint } = typesOf(db)
  await db.schema
    .createTable('github_user_links')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('integration_id', text, (c) =>
      c.notNull().references('integrations.id').onDelete('cascade'),
    )
    .addColumn('local_user_id', text, (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('github_user_id', bigint, (c) => c.notNull())
    .addColumn('github_login', text, (c) => c.notNull())
    .addColumn('access_token_sealed', text, (c) => c.notNull())
    .addColumn('refresh_token_sealed', text)
    .addColumn('token_expires_at', text)
    .addColumn('refresh_expires_at', text)
    .addColumn('lease_token', text)
    .addColumn('lease_expires_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .addUniqueConstraint('github_user_links_local_unique', ['integration_id', 'local_user_id'])
    .addUniqueConstraint('github_user_links_github_unique', ['integration_id', 'github_user_id'])
    .execute()
  await index(db, 'github_user_links', ['local_user_id'])
}

/** What both tables of installations say about one. */
function installationColumns(db: Db, name: string) {
  const { text, bigint } = typesOf(db)
  return db.schema
    .createTable(name)
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('integration_id', text, (c) =>
      c.notNull().references('integrations.id').onDelete('cascade'),
    )
    .addColumn('installation_id', bigint, (c) => c.notNull())
    .addColumn('account_id', bigint, (c) => c.notNull())
    .addColumn('account_login', text, (c) => c.notNull())
    .addColumn('account_type', text, (c) => c.notNull().check(ACCOUNT_TYPES))
    .addColumn('target_type', text, (c) => c.notNull())
    .addColumn('target_id', bigint, (c) => c.notNull())
    .addColumn('repository_selection', text, (c) =>
      c.notNull().check(sql`repository_selection in ('all', 'selected')`),
    )
    .addColumn('permissions', text, (c) => c.notNull())
    .addColumn('events', text, (c) => c.notNull())
    .addColumn('html_url', text, (c) => c.notNull())
    .addColumn('suspended_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addUniqueConstraint(`${name}_unique`, ['integration_id', 'installation_id'])
}

async function createInstallations(db: Db): Promise<void> {
  const { text, bigint } = typesOf(db)
  await installationColumns(db, 'github_installations')
    // Null until an organization claims it as a whole; members use what they reach themselves before that.
    .addColumn('organization_id', text, (c) => c.references('organizations.id'))
    .addColumn('local_user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .addColumn('removed_at', text)
    .addColumn('synced_at', text)
    .addColumn('sync_error', text)
    .addColumn('sync_token', text)
    .addColumn('sync_until', text)
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'github_installations', ['organization_id'])
  await index(db, 'github_installations', ['local_user_id'])
  await db.schema
    .createTable('github_installation_users')
    .addColumn('github_installation_id', text, (c) =>
      c.notNull().references('github_installations.id').onDelete('cascade'),
    )
    .addColumn('local_user_id', text, (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('github_user_id', bigint, (c) => c.notNull())
    .addColumn('account_role', text, (c) =>
      c.notNull().check(sql`account_role in ('self', 'admin', 'member', 'none')`),
    )
    .addColumn('verified_at', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('github_installation_users_pk', [
      'github_installation_id',
      'local_user_id',
    ])
    .execute()
  await index(db, 'github_installation_users', ['local_user_id'])
}

async function createUnclaimedInstallations(db: Db): Promise<void> {
  const { text, bigint } = typesOf(db)
  await installationColumns(db, 'unclaimed_installations')
    .addColumn('app_slug', text, (c) => c.notNull())
    .addColumn('sender_id', bigint, (c) => c.notNull())
    .addColumn('sender_login', text, (c) => c.notNull())
    .addColumn('facts', text, (c) => c.notNull())
    .addColumn('expires_at', text, (c) => c.notNull())
    .addColumn('claimed_at', text)
    .addColumn('claimed_by_organization_id', text, (c) => c.references('organizations.id'))
    .addColumn('claimed_by_user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .execute()
  await index(db, 'unclaimed_installations', ['claimed_by_organization_id'])
  await index(db, 'unclaimed_installations', ['claimed_by_user_id'])
}

async function createRepositories(db: Db): Promise<void> {
  const { text, bigint, boolean } = typesOf(db)
  await db.schema
    .createTable('github_repositories')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('integration_id', text, (c) =>
      c.notNull().references('integrations.id').onDelete('cascade'),
    )
    .addColumn('github_installation_id', text, (c) =>
      c.notNull().references('github_installations.id').onDelete('cascade'),
    )
    .addColumn('installation_id', bigint, (c) => c.notNull())
    .addColumn('repo_id', bigint, (c) => c.notNull())
    .addColumn('node_id', text, (c) => c.notNull())
    .addColumn('owner_login', text, (c) => c.notNull())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('full_name', text, (c) => c.notNull())
    .addColumn('default_branch', text, (c) => c.notNull())
    .addColumn('is_private', boolean, (c) => c.notNull())
    .addColumn('html_url', text, (c) => c.notNull())
    .addColumn('clone_url', text, (c) => c.notNull())
    .addColumn('archived', boolean, (c) => c.notNull())
    .addColumn('disabled', boolean, (c) => c.notNull())
    .addColumn('permission_admin', boolean, (c) => c.notNull())
    .addColumn('permission_push', boolean, (c) => c.notNull())
    .addColumn('permission_pull', boolean, (c) => c.notNull())
    .addColumn('pushed_at', text)
    .addColumn('removed_at', text)
    .addColumn('last_synced_at', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addUniqueConstraint('github_repositories_unique', ['github_installation_id', 'repo_id'])
    .execute()
  await index(db, 'github_repositories', ['integration_id', 'repo_id'])
  await index(db, 'github_repositories', ['github_installation_id', 'full_name'])
  // What a person was verified to reach behind an installation: members see and use these alone.
  await db.schema
    .createTable('github_repository_users')
    .addColumn('github_repository_id', text, (c) =>
      c.notNull().references('github_repositories.id').onDelete('cascade'),
    )
    .addColumn('local_user_id', text, (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('permission_admin', boolean, (c) => c.notNull())
    .addColumn('permission_push', boolean, (c) => c.notNull())
    .addColumn('permission_pull', boolean, (c) => c.notNull())
    .addColumn('verified_at', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('github_repository_users_pk', [
      'github_repository_id',
      'local_user_id',
    ])
    .execute()
  await index(db, 'github_repository_users', ['local_user_id'])
}
