import { sql } from 'kysely'

import { index, tenantTable, typesOf, type Db } from './tables.ts'

export async function up(db: Db): Promise<void> {
  await createReleases(db)
  await createDeployments(db)
  await createDeploymentDetails(db)
  await createInstances(db)
  await linkProjectsToDeployments(db)
}

export async function down(db: Db): Promise<void> {
  if (typesOf(db).postgres) {
    await db.schema.alterTable('projects').dropConstraint('projects_live_deployment_fk').execute()
  }
  const tables = [
    'instances',
    'deployment_logs',
    'deployment_transitions',
    'branch_decisions',
    'deployments',
    'releases',
  ]
  for (const table of tables) await db.schema.dropTable(table).execute()
}

async function createReleases(db: Db): Promise<void> {
  const { text, bigint } = typesOf(db)
  await tenantTable(db, 'releases')
    .addColumn('fingerprint', text, (c) => c.notNull())
    .addColumn('commit_sha', text, (c) => c.notNull())
    .addColumn('tree_id', text, (c) => c.notNull())
    .addColumn('plan', text, (c) => c.notNull())
    .addColumn('state', text, (c) =>
      c.notNull().check(sql`state in ('building', 'ready', 'removed')`),
    )
    .addColumn('size_bytes', bigint)
    .addColumn('host_id', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('ready_at', text)
    .execute()
  await index(db, 'releases', ['organization_id'])
  await index(db, 'releases', ['project_id', 'fingerprint'])
}

async function createDeployments(db: Db): Promise<void> {
  const { text, boolean } = typesOf(db)
  await tenantTable(db, 'deployments')
    .addColumn('number', 'integer', (c) => c.notNull())
    .addColumn('state', text, (c) =>
      c.notNull()
        .check(sql`state in ('queued', 'fetching', 'building', 'releasing', 'starting', 'checking',
          'switching', 'cancelling', 'live', 'failed', 'superseded', 'cancelled', 'interrupted')`),
    )
    .addColumn('cause', text, (c) =>
      c
        .notNull()
        .check(sql`cause in ('push', 'redeploy', 'rollback', 'configuration', 'retry', 'first')`),
    )
    .addColumn('branch', text, (c) => c.notNull())
    .addColumn('commit_sha', text, (c) => c.notNull())
    .addColumn('commit_message', text)
    .addColumn('commit_author', text)
    .addColumn('committed_at', text)
    .addColumn('repeats_deployment_id', text, (c) => c.references('deployments.id'))
    .addColumn('rebuild', boolean, (c) => c.notNull())
    .addColumn('release_id', text, (c) => c.references('releases.id'))
    .addColumn('configuration_sealed', text)
    .addColumn('attempt', 'integer', (c) => c.notNull())
    .addColumn('not_before', text, (c) => c.notNull())
    .addColumn('debounce_since', text, (c) => c.notNull())
    .addColumn('superseded_by_id', text, (c) => c.references('deployments.id'))
    .addColumn('replaced_deployment_id', text, (c) => c.references('deployments.id'))
    .addColumn('cancel_requested_at', text)
    .addColumn('cancel_reason', text, (c) =>
      c.check(sql`cancel_reason in ('person', 'superseded', 'deleted')`),
    )
    .addColumn('cancelled_in_a_row', 'integer', (c) => c.notNull())
    .addColumn('release_command_started_at', text)
    .addColumn('release_command_finished_at', text)
    .addColumn('failure_code', text)
    .addColumn('failure_message', text)
    .addColumn('lease_token', text)
    .addColumn('lease_expires_at', text)
    .addColumn('host_id', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('started_at', text)
    .addColumn('ended_at', text)
    .addUniqueConstraint('deployments_number_unique', ['project_id', 'number'])
    .execute()
  await indexDeployments(db)
}

/** One active and one pending deployment per project: the database refuses a second, whoever asks. */
async function indexDeployments(db: Db): Promise<void> {
  await index(db, 'deployments', ['organization_id'])
  await index(db, 'deployments', ['repeats_deployment_id'])
  await index(db, 'deployments', ['release_id'])
  await index(db, 'deployments', ['superseded_by_id'])
  await index(db, 'deployments', ['replaced_deployment_id'])
  await sql`create unique index deployments_one_active on deployments (project_id)
    where state in ('fetching', 'building', 'releasing', 'starting', 'checking', 'switching', 'cancelling')`.execute(
    db,
  )
  await sql`create unique index deployments_one_pending on deployments (project_id)
    where state = 'queued'`.execute(db)
  await sql`create index deployments_due on deployments (not_before) where state = 'queued'`.execute(
    db,
  )
}

async function createDeploymentDetails(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await tenantTable(db, 'branch_decisions')
    .addColumn('head', text, (c) => c.notNull())
    .addColumn('previous_head', text)
    .addColumn('decision', text, (c) => c.notNull().check(sql`decision in ('deploy', 'skip')`))
    .addColumn('reason', text, (c) => c.notNull())
    .addColumn('trigger', text, (c) =>
      c.notNull().check(sql`"trigger" in ('push', 'boot', 'timer', 'person')`),
    )
    .addColumn('deployment_id', text, (c) => c.references('deployments.id').onDelete('cascade'))
    .addColumn('created_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'branch_decisions', ['organization_id'])
  await index(db, 'branch_decisions', ['project_id', 'head'])
  await index(db, 'branch_decisions', ['deployment_id'])
  await db.schema
    .createTable('deployment_transitions')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('deployment_id', text, (c) =>
      c.notNull().references('deployments.id').onDelete('cascade'),
    )
    .addColumn('state', text, (c) => c.notNull())
    .addColumn('entered_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'deployment_transitions', ['organization_id'])
  await index(db, 'deployment_transitions', ['deployment_id'])
  await db.schema
    .createTable('deployment_logs')
    .addColumn('deployment_id', text, (c) =>
      c.notNull().references('deployments.id').onDelete('cascade'),
    )
    .addColumn('sequence', 'integer', (c) => c.notNull())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('stream', text, (c) => c.notNull().check(sql`stream in ('platform', 'output')`))
    .addColumn('text', text, (c) => c.notNull())
    .addColumn('logged_at', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('deployment_logs_pk', ['deployment_id', 'sequence'])
    .execute()
  await index(db, 'deployment_logs', ['organization_id'])
}

async function createInstances(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await tenantTable(db, 'instances')
    .addColumn('deployment_id', text, (c) =>
      c.notNull().references('deployments.id').onDelete('cascade'),
    )
    .addColumn('release_id', text, (c) => c.notNull().references('releases.id'))
    .addColumn('host_id', text, (c) => c.notNull())
    .addColumn('state', text, (c) =>
      c
        .notNull()
        .check(
          sql`state in ('starting', 'running', 'draining', 'stopped', 'crashed', 'crash_loop')`,
        ),
    )
    .addColumn('port', 'integer')
    .addColumn('pid', 'integer')
    .addColumn('start_ticks', text)
    .addColumn('boot_id', text)
    .addColumn('restarts', 'integer', (c) => c.notNull())
    .addColumn('next_restart_at', text)
    .addColumn('retire_at', text)
    .addColumn('exit_code', 'integer')
    .addColumn('exit_signal', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('ready_at', text)
    .addColumn('stopped_at', text)
    .execute()
  await index(db, 'instances', ['organization_id'])
  await index(db, 'instances', ['project_id'])
  await index(db, 'instances', ['deployment_id'])
  await index(db, 'instances', ['release_id'])
  await sql`create unique index instances_port_unique on instances (host_id, port)
    where state in ('starting', 'running', 'draining')`.execute(db)
}

async function linkProjectsToDeployments(db: Db): Promise<void> {
  if (!typesOf(db).postgres) return
  await db.schema
    .alterTable('projects')
    .addForeignKeyConstraint('projects_live_deployment_fk', ['live_deployment_id'], 'deployments', [
      'id',
    ])
    .execute()
}
