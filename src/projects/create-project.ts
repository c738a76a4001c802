import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { isUniqueViolation } from '../database/database-errors.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { RuntimeKind } from '../database/schema.ts'
import { confirmRole } from '../identity/confirm-role.ts'
import { lockOrganization } from '../identity/organizations.ts'
import type { ProjectReach } from '../identity/principal.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { checkProjectName } from './project-name.ts'
import { readProject, type Project } from './project-records.ts'
import { checkSettings, DEFAULT_SETTINGS, type ProjectSettings } from './project-settings.ts'
import { checkSource, type SourceRules } from './project-source.ts'
import { storeVariables, type VariableChange } from './store-variables.ts'
import type { VariableKeyring } from './variable-records.ts'

export interface NewProject extends Partial<ProjectSettings> {
  name: string
  repo_url: string
  branch: string
  environment?: readonly VariableChange[]
  /** Left out: the repository is known by its URL alone. */
  linked?: LinkedRepository
}

/** A repository that is known by its host's own id, and reached through an integration. */
export interface LinkedRepository {
  provider: 'github'
  repositoryId: number
  /** Stores the link in the same transaction. */
  store(tx: Tx, project: { organizationId: string; id: string; branch: string }): Promise<void>
}

export interface CreateProjectDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: VariableKeyring
  config: SourceRules & { pollIntervalSeconds: number; runtime: RuntimeKind }
}

const ATTEMPTS = 5
const SUFFIX_ALPHABET = 'abcdefghjkmnpqrstvwxyz23456789'

/**
 * Stores a project with its variables. Its first deployment is the business of the caller, who looks at the branch.
 * Who is limited to some projects reaches this one too. Throws `project.name_taken`, `member.role_lost`, and what the
 * checks of name, source, settings and variables throw.
 */
export async function createProject(
  deps: CreateProjectDeps,
  organizationId: string,
  input: NewProject,
  by: Actor,
  reach: ProjectReach = { kind: 'all' },
): Promise<Project> {
  checkProjectName(input.name)
  const source = checkSource(deps.config, input)
  const { name: _, repo_url: _url, branch: _branch, environment = [], linked, ...settings } = input
  checkSettings(settings)
  // Somebody else may take the host label or the account slot between our look and our insert.
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await inTransaction(deps.db, async (tx) => {
        const id = deps.newId()
        // Closing looks for projects under the same lock: none appears behind its back.
        await lockOrganization(tx, organizationId)
        await confirmRole(deps, tx, organizationId, { by, atLeast: 'member' })
        const project = { id, organizationId, name: input.name, ...source, settings }
        await insertProject(deps, tx, project, linked)
        await linked?.store(tx, project)
        await storeVariables(deps, tx, { organizationId, projectId: id }, environment)
        if (reach.kind === 'selected') await addToReach(deps, tx, organizationId, id, reach.userId)
        await recordAuditEvent(deps, tx, {
          organizationId,
          by,
          action: 'project.created',
          target: { kind: 'project', id, name: input.name },
          details: { ...source, variables: environment.map((variable) => variable.name) },
        })
        return await readProject(tx, organizationId, id)
      })
    } catch (error) {
      if (!isUniqueViolation(error) || attempt === ATTEMPTS) throw error
    }
  }
}

async function insertProject(
  deps: CreateProjectDeps,
  tx: Tx,
  project: {
    id: string
    organizationId: string
    name: string
    repo_url: string
    branch: string
    settings: Partial<ProjectSettings>
  },
  linked: LinkedRepository | undefined,
): Promise<void> {
  await refuseTakenName(tx, project.organizationId, project.name)
  const now = toIsoTime(deps.clock.now())
  await tx
    .insertInto('projects')
    .values({
      ...DEFAULT_SETTINGS,
      poll_interval_seconds: deps.config.pollIntervalSeconds,
      ...definedOf(project.settings),
      id: project.id,
      organization_id: project.organizationId,
      name: project.name,
      host_label: await freeHostLabel(tx, project.name, project.id),
      source_provider: linked?.provider ?? 'manual',
      repo_url: project.repo_url,
      source_repo_id: linked?.repositoryId ?? null,
      branch: project.branch,
      runtime: deps.config.runtime,
      considered_head: null,
      reread_head: null,
      reread_at: null,
      source_error: null,
      next_poll_at: now,
      reconcile_token: null,
      reconcile_expires_at: null,
      live_deployment_id: null,
      deployment_count: 0,
      account_slot: await nextAccountSlot(tx),
      deleted_at: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
}

async function addToReach(
  deps: { clock: Clock },
  tx: Tx,
  organizationId: string,
  projectId: string,
  userId: string,
): Promise<void> {
  const created_at = toIsoTime(deps.clock.now())
  await tx
    .insertInto('project_members')
    .values({
      organization_id: organizationId,
      project_id: projectId,
      user_id: userId,
      created_at,
    })
    .execute()
}

/** Throws `project.name_taken` when the organization has another project of this name. */
export async function refuseTakenName(tx: Tx, organizationId: string, name: string): Promise<void> {
  const taken = await tx
    .selectFrom('projects')
    .select('id')
    .where('organization_id', '=', organizationId)
    .where('name', '=', name)
    .executeTakeFirst()
  if (taken === undefined) return
  throw new OperationError(
    'project.name_taken',
    `Cannot name a project "${name}": another one has this name`,
    { details: { name: ['the name is taken'] } },
  )
}

/** The name, or with a suffix when a project of another organization has that label. */
async function freeHostLabel(tx: Tx, name: string, seed: string): Promise<string> {
  const taken = await tx
    .selectFrom('projects')
    .select('id')
    .where('host_label', '=', name)
    .executeTakeFirst()
  return taken === undefined ? name : `${name}-${suffixFrom(seed)}`
}

/** Five characters from the random end of an id. */
function suffixFrom(id: string): string {
  let rest = Number.parseInt(id.replaceAll('-', '').slice(-10), 16)
  let suffix = ''
  for (let index = 0; index < 5; index += 1) {
    suffix += SUFFIX_ALPHABET.charAt(rest % SUFFIX_ALPHABET.length)
    rest = Math.floor(rest / SUFFIX_ALPHABET.length)
  }
  return suffix
}

/**
 * A slot is a uid, and files of that uid may outlive their project: the highest was never lower, because the row of a
 * deleted project stays while it holds the highest slot.
 */
async function nextAccountSlot(tx: Tx): Promise<number> {
  const row = await tx
    .selectFrom('projects')
    .select((eb) => eb.fn.max('account_slot').as('highest'))
    .executeTakeFirst()
  return (row?.highest ?? 0) + 1
}

function definedOf(settings: Partial<ProjectSettings>): Partial<ProjectSettings> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))
}
