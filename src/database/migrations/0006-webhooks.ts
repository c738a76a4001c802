import { sql } from 'kysely'

import { index, typesOf, type Db } from './tables.ts'

/** Hooks that may call us, what they delivered, and what was made of it. */
export async function up(db: Db): Promise<void> {
  await createHooks(db)
  await createLinks(db)
  await createDeliveries(db)
  await createOutcomes(db)
  await sql`create view github_webhook_deliveries as
    select id, delivery_id, event_type, repo_id, ref, head_commit, handled, status_code, error_message, created_at
    from webhook_deliveries where provider = 'github'`.execute(db)
}

export async function down(db: Db): Promise<void> {
  await db.schema.dropView('github_webhook_deliveries').execute()
  const tables = [
    'webhook_rejections',
    'delivery_outcomes',
    'webhook_deliveries',
    'branch_heads',
    'project_github_links',
    'hooks',
  ]
  for (const table of tables) await db.schema.dropTable(table).execute()
}

async function createHooks(db: Db): Promise<void> {
  const { text, bigint } = typesOf(db)
  await db.schema
    .createTable('hooks')
    .addColumn('id', text, (c) => c.primaryKey())
    // Null: the hook of the App from the environment.
    .addColumn('organization_id', text, (c) => c.references('organizations.id'))
    .addColumn('public_id', text, (c) => c.notNull().unique())
    .addColumn('kind', text, (c) =>
      c.notNull().check(sql`kind in ('app', 'repository', 'connection')`),
    )
    .addColumn('integration_id', text, (c) => c.references('integrations.id').onDelete('cascade'))
    .addColumn('repository_id', bigint)
    .addColumn('host_hook_id', text)
    .addColumn('secret_sealed', text, (c) => c.notNull())
    .addColumn('previous_secret_sealed', text)
    .addColumn('previous_secret_until', text)
    .addColumn('state', text, (c) =>
      c.notNull().check(sql`state in ('pending', 'active', 'failed', 'removing', 'removed')`),
    )
    .addColumn('error_message', text)
    .addColumn('last_delivery_at', text)
    .addColumn('swept_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'hooks', ['organization_id'])
  await index(db, 'hooks', ['integration_id', 'repository_id'])
  // One hook of ours per repository and organization, however many projects deploy from it.
  await db.schema
    .createIndex('hooks_repository_unique')
    .on('hooks')
    .columns(['organization_id', 'integration_id', 'repository_id'])
    .unique()
    .where(sql<boolean>`kind = 'repository' and state <> 'removed'`)
    .execute()
  await db.schema
    .createIndex('hooks_app_unique')
    .on('hooks')
    .columns(['integration_id'])
    .unique()
    .where(sql<boolean>`kind = 'app'`)
    .execute()
}

async function createLinks(db: Db): Promise<void> {
  const { text, bigint, boolean } = typesOf(db)
  await db.schema
    .createTable('project_github_links')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('project_id', text, (c) =>
      c.notNull().unique().references('projects.id').onDelete('cascade'),
    )
    .addColumn('integration_id', text, (c) => c.notNull().references('integrations.id'))
    .addColumn('installation_id', bigint, (c) => c.notNull())
    .addColumn('repo_id', bigint, (c) => c.notNull())
    .addColumn('repo_node_id', text, (c) => c.notNull())
    .addColumn('owner_login', text, (c) => c.notNull())
    .addColumn('repo_name', text, (c) => c.notNull())
    .addColumn('full_name', text, (c) => c.notNull())
    .addColumn('default_branch', text, (c) => c.notNull())
    .addColumn('selected_branch', text, (c) => c.notNull())
    .addColumn('webhook_id', bigint)
    .addColumn('hook_id', text, (c) => c.references('hooks.id').onDelete('set null'))
    .addColumn('linked_by_user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .addColumn('active', boolean, (c) => c.notNull())
    .addColumn('inactive_reason', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'project_github_links', ['organization_id'])
  await index(db, 'project_github_links', ['integration_id', 'repo_id', 'selected_branch'])
  await index(db, 'project_github_links', ['hook_id'])
  await index(db, 'project_github_links', ['linked_by_user_id'])
  await db.schema
    .createTable('branch_heads')
    .addColumn('integration_id', text, (c) =>
      c.notNull().references('integrations.id').onDelete('cascade'),
    )
    .addColumn('repo_id', bigint, (c) => c.notNull())
    .addColumn('branch', text, (c) => c.notNull())
    .addColumn('head', text, (c) => c.notNull())
    .addColumn('etag', text)
    .addColumn('read_at', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('branch_heads_pk', ['integration_id', 'repo_id', 'branch'])
    .execute()
}

async function createDeliveries(db: Db): Promise<void> {
  const { text, bigint, boolean } = typesOf(db)
  await db.schema
    .createTable('webhook_deliveries')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.references('organizations.id'))
    .addColumn('hook_id', text, (c) => c.notNull().references('hooks.id').onDelete('cascade'))
    .addColumn('provider', text, (c) => c.notNull())
    .addColumn('delivery_id', text, (c) => c.notNull())
    .addColumn('event_type', text, (c) => c.notNull())
    .addColumn('action', text)
    .addColumn('installation_id', bigint)
    .addColumn('repo_id', bigint)
    .addColumn('ref', text)
    .addColumn('before_commit', text)
    .addColumn('head_commit', text)
    .addColumn('facts', text, (c) => c.notNull())
    .addColumn('body_hash', text, (c) => c.notNull())
    .addColumn('body_bytes', 'integer', (c) => c.notNull())
    .addColumn('body_sealed', text)
    .addColumn('state', text, (c) =>
      c.notNull().check(sql`state in ('received', 'processed', 'ignored', 'failed')`),
    )
    .addColumn('reason', text)
    .addColumn('handled', boolean, (c) => c.notNull())
    .addColumn('status_code', 'integer')
    .addColumn('error_message', text)
    .addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('next_attempt_at', text)
    .addColumn('lease_token', text)
    .addColumn('lease_expires_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('processed_at', text)
    // Another body under the id of an earlier delivery is a delivery of its own: ids are not signed.
    .addUniqueConstraint('webhook_deliveries_unique', ['hook_id', 'delivery_id', 'body_hash'])
    .execute()
  await index(db, 'webhook_deliveries', ['organization_id', 'id'])
  await index(db, 'webhook_deliveries', ['created_at'])
  // What waits to be worked on: the index has nothing else.
  await db.schema
    .createIndex('webhook_deliveries_waiting')
    .on('webhook_deliveries')
    .column('next_attempt_at')
    .where(sql<boolean>`state = 'received'`)
    .execute()
}

async function createOutcomes(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .createTable('delivery_outcomes')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('webhook_delivery_id', text, (c) =>
      c.notNull().references('webhook_deliveries.id').onDelete('cascade'),
    )
    .addColumn('project_id', text, (c) => c.notNull().references('projects.id').onDelete('cascade'))
    .addColumn('outcome', text, (c) => c.notNull())
    .addColumn('reason', text)
    .addColumn('head', text)
    .addColumn('deployment_id', text, (c) => c.references('deployments.id').onDelete('set null'))
    .addColumn('created_at', text, (c) => c.notNull())
    .addUniqueConstraint('delivery_outcomes_unique', ['webhook_delivery_id', 'project_id'])
    .execute()
  await index(db, 'delivery_outcomes', ['organization_id', 'webhook_delivery_id'])
  await index(db, 'delivery_outcomes', ['project_id'])
  await index(db, 'delivery_outcomes', ['deployment_id'])
  // Refused calls are counted by hook and minute: who sends a million of them makes a row.
  await db.schema
    .createTable('webhook_rejections')
    .addColumn('hook_key', text, (c) => c.notNull())
    .addColumn('minute', text, (c) => c.notNull())
    .addColumn('amount', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('webhook_rejections_pk', ['hook_key', 'minute'])
    .execute()
}
