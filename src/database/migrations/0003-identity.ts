import { sql } from 'kysely'

import { dropColumns, index, typesOf, type Db } from './tables.ts'

/** People, the organizations they belong to, how they sign in, and what an identity provider told about them. */
export async function up(db: Db): Promise<void> {
  await createUsers(db)
  await extendOrganizations(db)
  await createSignIn(db)
  await createMembers(db)
  await createInvitations(db)
  await createClerkRecords(db)
  await extendApiTokens(db)
}

export async function down(db: Db): Promise<void> {
  await removeBoundedTokens(db)
  await dropColumns(db, 'api_tokens', ['parent_token_id', 'scopes', 'created_by_user_id'])
  const tables = [
    'clerk_records clerk_messages invitations project_members organization_members',
    'organization_metadata oauth_states instance_secrets sign_in_throttles used_totp_codes',
    'two_factors verifications accounts sessions',
  ].flatMap((names) => names.split(' '))
  for (const table of tables) await db.schema.dropTable(table).execute()
  const columns = ['clerk_org_id', 'created_by_user_id', 'setup_completed_at', 'closed_at']
  await dropColumns(db, 'organizations', columns)
  await db.schema.dropTable('users').execute()
}

/** The program before knows no bounds: what a person may not, a token of theirs would be able to. */
async function removeBoundedTokens(db: Db): Promise<void> {
  await sql`delete from api_tokens where created_by_user_id is not null or scopes <> '["*"]'
    or organization_id in (select id from organizations where closed_at is not null)`.execute(db)
}

async function createUsers(db: Db): Promise<void> {
  const { text, boolean, moment } = typesOf(db)
  await db.schema
    .createTable('users')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('clerk_user_id', text, (c) => c.unique())
    .addColumn('email', text, (c) => c.notNull().unique())
    .addColumn('name', text, (c) => c.notNull())
    .addColumn('first_name', text)
    .addColumn('last_name', text)
    .addColumn('email_verified', boolean, (c) => c.notNull())
    .addColumn('image', text)
    .addColumn('two_factor_enabled', boolean, (c) => c.notNull())
    .addColumn('clerk_primary_email', text)
    .addColumn('deleted_at', text)
    .addColumn('created_at', moment, (c) => c.notNull())
    .addColumn('updated_at', moment, (c) => c.notNull())
    .addCheckConstraint('users_email_lower_case', sql`email = lower(email)`)
    .execute()
}

async function extendOrganizations(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .alterTable('organizations')
    .addColumn('created_by_user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .execute()
  for (const column of ['clerk_org_id', 'setup_completed_at', 'closed_at']) {
    await db.schema.alterTable('organizations').addColumn(column, text).execute()
  }
  await db.schema
    .createIndex('organizations_clerk_org_id')
    .on('organizations')
    .column('clerk_org_id')
    .unique()
    .execute()
  await index(db, 'organizations', ['created_by_user_id'])
}

async function createSignIn(db: Db): Promise<void> {
  const { text, boolean, moment } = typesOf(db)
  const ofUser = (name: string) =>
    db.schema
      .createTable(name)
      .addColumn('id', text, (c) => c.primaryKey())
      .addColumn('user_id', text, (c) => c.notNull().references('users.id').onDelete('cascade'))
  await ofUser('sessions')
    .addColumn('token', text, (c) => c.notNull().unique())
    .addColumn('expires_at', moment, (c) => c.notNull())
    .addColumn('ip_address', text)
    .addColumn('user_agent', text)
    .addColumn('created_at', moment, (c) => c.notNull())
    .addColumn('updated_at', moment, (c) => c.notNull())
    .execute()
  await index(db, 'sessions', ['user_id'])
  await index(db, 'sessions', ['expires_at'])
  await ofUser('accounts')
    .addColumn('provider_id', text, (c) => c.notNull())
    .addColumn('account_id', text, (c) => c.notNull())
    .addColumn('password', text)
    .addColumn('access_token', text)
    .addColumn('refresh_token', text)
    .addColumn('id_token', text)
    .addColumn('access_token_expires_at', moment)
    .addColumn('refresh_token_expires_at', moment)
    .addColumn('scope', text)
    .addColumn('created_at', moment, (c) => c.notNull())
    .addColumn('updated_at', moment, (c) => c.notNull())
    .addUniqueConstraint('accounts_subject_unique', ['provider_id', 'account_id'])
    .execute()
  await index(db, 'accounts', ['user_id'])
  await ofUser('two_factors')
    .addColumn('secret', text, (c) => c.notNull())
    .addColumn('backup_codes', text, (c) => c.notNull())
    .addColumn('verified', boolean, (c) => c.notNull())
    .addColumn('failed_verification_count', 'integer', (c) => c.notNull())
    .addColumn('locked_until', moment)
    .addUniqueConstraint('two_factors_user_unique', ['user_id'])
    .execute()
  await db.schema
    .createTable('verifications')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('identifier', text, (c) => c.notNull())
    .addColumn('value', text, (c) => c.notNull())
    .addColumn('expires_at', moment, (c) => c.notNull())
    .addColumn('created_at', moment, (c) => c.notNull())
    .addColumn('updated_at', moment, (c) => c.notNull())
    .execute()
  await index(db, 'verifications', ['identifier'])
  await index(db, 'verifications', ['expires_at'])
  await createSignInGuards(db)
}

/** What keeps sign-in honest: codes that were used, attempts that failed, states that wait for their callback. */
async function createSignInGuards(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .createTable('used_totp_codes')
    .addColumn('user_id', text, (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('code_hash', text, (c) => c.notNull())
    .addColumn('used_at', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('used_totp_codes_pk', ['user_id', 'code_hash'])
    .execute()
  await db.schema
    .createTable('sign_in_throttles')
    .addColumn('key_hash', text, (c) => c.primaryKey())
    .addColumn('failures', 'integer', (c) => c.notNull())
    .addColumn('blocked_until', text)
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'sign_in_throttles', ['updated_at'])
  await db.schema
    .createTable('instance_secrets')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('value_sealed', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('oauth_states')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('state_hash', text, (c) => c.notNull().unique())
    .addColumn('purpose', text, (c) => c.notNull())
    .addColumn('binding_hash', text, (c) => c.notNull())
    .addColumn('user_id', text, (c) => c.references('users.id').onDelete('cascade'))
    .addColumn('request_sealed', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('expires_at', text, (c) => c.notNull())
    .addColumn('used_at', text)
    .execute()
  await index(db, 'oauth_states', ['user_id'])
  await index(db, 'oauth_states', ['expires_at'])
}

const ROLES = sql`role in ('owner', 'admin', 'member', 'viewer')`
const PROJECT_ACCESS = sql`project_access in ('all', 'selected')`

async function createMembers(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .createTable('organization_metadata')
    .addColumn('organization_id', text, (c) =>
      c.notNull().primaryKey().references('organizations.id'),
    )
    .addColumn('company_size', text, (c) =>
      c.check(sql`company_size in ('startup', 'small', 'medium', 'large', 'enterprise')`),
    )
    .addColumn('team_size', text, (c) =>
      c.check(sql`team_size in ('1-5', '6-20', '21-50', '51-100', '100+')`),
    )
    .addColumn('use_cases', text, (c) => c.notNull())
    .addColumn('observability_stack', text, (c) => c.notNull())
    .addColumn('completed_at', text)
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await db.schema
    .createTable('organization_members')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('user_id', text, (c) => c.notNull().references('users.id'))
    .addColumn('role', text, (c) => c.notNull().check(ROLES))
    .addColumn('project_access', text, (c) => c.notNull().check(PROJECT_ACCESS))
    .addColumn('clerk_membership_id', text, (c) => c.unique())
    .addColumn('joined_at', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .addUniqueConstraint('organization_members_unique', ['organization_id', 'user_id'])
    .execute()
  await index(db, 'organization_members', ['user_id'])
  await db.schema
    .createTable('project_members')
    .addColumn('organization_id', text, (c) => c.notNull())
    .addColumn('project_id', text, (c) => c.notNull().references('projects.id').onDelete('cascade'))
    .addColumn('user_id', text, (c) => c.notNull())
    .addColumn('created_at', text, (c) => c.notNull())
    .addPrimaryKeyConstraint('project_members_pk', ['project_id', 'user_id'])
    .addForeignKeyConstraint(
      'project_members_member',
      ['organization_id', 'user_id'],
      'organization_members',
      ['organization_id', 'user_id'],
      (c) => c.onDelete('cascade'),
    )
    .execute()
  await index(db, 'project_members', ['organization_id', 'user_id'])
  await index(db, 'project_members', ['user_id'])
}

async function createInvitations(db: Db): Promise<void> {
  const { text } = typesOf(db)
  await db.schema
    .createTable('invitations')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('organization_id', text, (c) => c.notNull().references('organizations.id'))
    .addColumn('email', text, (c) => c.notNull())
    .addColumn('role', text, (c) => c.notNull().check(ROLES))
    .addColumn('project_access', text, (c) => c.notNull().check(PROJECT_ACCESS))
    .addColumn('project_ids', text, (c) => c.notNull())
    .addColumn('token_hash', text, (c) => c.notNull().unique())
    .addColumn('invited_by_user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .addColumn('created_at', text, (c) => c.notNull())
    .addColumn('expires_at', text, (c) => c.notNull())
    .addColumn('accepted_at', text)
    .addColumn('accepted_by_user_id', text, (c) => c.references('users.id').onDelete('set null'))
    .addColumn('revoked_at', text)
    .execute()
  await index(db, 'invitations', ['organization_id'])
  await index(db, 'invitations', ['invited_by_user_id'])
  await index(db, 'invitations', ['accepted_by_user_id'])
  // One open invitation per address: inviting again replaces the one before.
  await db.schema
    .createIndex('invitations_open_unique')
    .on('invitations')
    .columns(['organization_id', 'email'])
    .unique()
    .where(sql<boolean>`accepted_at is null and revoked_at is null`)
    .execute()
}

async function createClerkRecords(db: Db): Promise<void> {
  const { text, bigint, boolean } = typesOf(db)
  await db.schema
    .createTable('clerk_messages')
    .addColumn('id', text, (c) => c.primaryKey())
    .addColumn('event_type', text, (c) => c.notNull())
    .addColumn('received_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'clerk_messages', ['received_at'])
  await db.schema
    .createTable('clerk_records')
    .addColumn('clerk_id', text, (c) => c.primaryKey())
    .addColumn('kind', text, (c) =>
      c.notNull().check(sql`kind in ('user', 'organization', 'membership')`),
    )
    .addColumn('event_at', bigint, (c) => c.notNull())
    .addColumn('message_id', text, (c) => c.notNull())
    .addColumn('deleted', boolean, (c) => c.notNull())
    .addColumn('clerk_user_id', text)
    .addColumn('clerk_org_id', text)
    .addColumn('facts', text, (c) => c.notNull())
    .addColumn('updated_at', text, (c) => c.notNull())
    .execute()
  await index(db, 'clerk_records', ['clerk_user_id'])
  await index(db, 'clerk_records', ['clerk_org_id'])
}

async function extendApiTokens(db: Db): Promise<void> {
  const { text } = typesOf(db)
  // Whose it is, and the token that made it: either takes it along.
  for (const [column, target] of [
    ['created_by_user_id', 'users.id'],
    ['parent_token_id', 'api_tokens.id'],
  ] as const) {
    await db.schema
      .alterTable('api_tokens')
      .addColumn(column, text, (c) => c.references(target).onDelete('cascade'))
      .execute()
    await index(db, 'api_tokens', [column])
  }
  // Tokens that exist were made by the operator, for everything.
  await db.schema
    .alterTable('api_tokens')
    .addColumn('scopes', text, (c) => c.notNull().defaultTo('["*"]'))
    .execute()
}
