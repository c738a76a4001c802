import { sql } from 'kysely'

import { index, tenantTable, typesOf, type Db } from './tables.ts'

export async function up(db: Db): Promise<void> {
  await createInstanceTables(db)
  await createProjects(db)
  await createProjectSettings(db)
}

export async function down(db: Db): Promise<void> {
  const tables = [
    'domains',
    'environment_variables',
    'projects',
    'api_tokens',
    'jobs',
    'encryption_keys',
    'organizations',
  ]
  for (const table of tables) await db.schema.dropTable(table).execute()
}

async function createInstanceTables(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .createTable('organizations')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('slug', text, (c) => c.notNull().unique())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('encryption_keys')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('canary_sealed', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('retired_at', text)
    .execute()
  await db.schema
    .createTable('jobs')
    .addColumn('name', text, (c) => c.primaryKey())
    .addColumn('next_run_at', text, (c) => c.notNull())
    .addColumn('lease_token', text)
    .addColumn('lease_expires_at', text)
    .addColumn('last_started_at', text)
    .addColumn('last_finished_at', text)
    .addColumn('last_error', text)
    .execute()
  await db.schema
    .createTable('api_tokens')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('token_hash', text, (c) => c.notNull().unique())
    .addColumn('hint', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('expires_at', text)
    .addColumn('last_used_at', text)
    .addColumn('revoked_at', text)
    .execute()
  await index(db, 'api_tokens', ['organization_id'])
}

async function createProjects(db: Db): Promise<void> {
  const { text, bigint, boolean, postgres } = typesOf(db)
  await db.schema
    .createTable('projects')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('host_label', text, (c) => c.notNull().unique())
    .addColumn('source_provider', text, (c) =>
      c.notNull().check(sql`source_provider in ('manual', 'github', 'connection')`),
    )
    .addColumn('repo_url', text, (c) => c.notNull())
    .addColumn('source_repo_id', bigint)
    .addColumn('branch', text, (c) => c.notNull())
    .addColumn('runtime', text, (c) =>
      c.notNull().check(sql`runtime in ('process', 'docker', 'swarm')`),
    )
    .addColumn('root_directory', text)
    .addColumn('install_command', text)
    .addColumn('build_command', text)
    .addColumn('start_command', text)
    .addColumn('release_command', text)
    .addColumn('output_directory', text)
    .addColumn('health_path', text)
    .addColumn('watch_paths', text)
    .addColumn('auto_deploy', boolean, (c) => c.notNull())
    .addColumn('poll_interval_seconds', 'integer', (c) => c.notNull())
    .addColumn('considered_head', text)
    .addColumn('reread_head', text)
    .addColumn('reread_at', text)
    .addColumn('source_error', text)
    .addColumn('source_failing_since', text)
    .addColumn('next_poll_at', text, (c) => c.notNull())
    .addColumn('reconcile_token', text)
    .addColumn('reconcile_expires_at', text)
    .addColumn('live_deployment_id', text, (c) =>
      // PostgreSQL wants the other table first: 0002 adds the constraint there.
      postgres ? c : c.references('deployments.id'),
    )
    .addColumn('deployment_count', 'integer', (c) => c.notNull())
    .addColumn('account_slot', 'integer', (c) => c.notNull().unique())
    .addColumn('deleted_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .addUniqueConstraint('projects_name_unique', ['organization_id', 'name'])
    .execute()
  await index(db, 'projects', ['next_poll_at'])
  await index(db, 'projects', ['live_deployment_id'])
}

async function createProjectSettings(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await tenantTable(db, 'environment_variables')
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('value_sealed', text, (c) => c.notNull())
    .addColumn('scope', text, (c) => c.notNull().check(sql`scope in ('build', 'run', 'both')`))
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .addUniqueConstraint('environment_variables_name_unique', ['project_id', 'name'])
    .execute()
  await index(db, 'environment_variables', ['organization_id'])
  await tenantTable(db, 'domains')
    .addColumn('hostname', text, (c) => c.notNull().unique())
    .addColumn('created_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'domains', ['organization_id'])
  await index(db, 'domains', ['project_id'])
}
