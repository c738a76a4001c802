import type { Selectable } from 'kysely'

import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { isUniqueViolation } from '../database/database-errors.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { Schema } from '../database/schema.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import { parseHostname, type PlatformNames } from './hostname.ts'
import { readProject, type Project } from './project-records.ts'

export type Domain = Pick<Selectable<Schema['domains']>, 'hostname' | 'created_at'>

const MAX_DOMAINS = 50

export function listDomains(db: Database | Tx, projectId: string): Promise<Domain[]> {
  return db
    .selectFrom('domains')
    .select(['hostname', 'created_at'])
    .where('project_id', '=', projectId)
    .orderBy('hostname')
    .execute()
}

/**
 * Gives a project a domain. The caller publishes the routes afterwards. Throws `domain.invalid`, `domain.too_many` and
 * `domain.taken`, which does not say by whom.
 */
export async function addDomain(
  deps: { db: Database; clock: Clock; newId: NewId; config: PlatformNames },
  organizationId: string,
  projectId: string,
  input: string,
  by: Actor,
): Promise<Domain> {
  const hostname = parseHostname(deps.config, input)
  const created_at = toIsoTime(deps.clock.now())
  try {
    return await inTransaction(deps.db, async (tx) => {
      const project = await readProject(tx, organizationId, projectId)
      if ((await listDomains(tx, projectId)).length >= MAX_DOMAINS) {
        throw new OperationError(
          'domain.too_many',
          `Cannot add "${hostname}": a project has at most ${MAX_DOMAINS} domains`,
        )
      }
      await tx
        .insertInto('domains')
        .values({
          id: deps.newId(),
          organization_id: organizationId,
          project_id: projectId,
          hostname,
          created_at,
        })
        .execute()
      await recordChange(deps, tx, { project, by, action: 'domain.added', hostname })
      return { hostname, created_at }
    })
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    throw new OperationError('domain.taken', `Cannot add "${hostname}": it is in use`, {
      cause: error,
    })
  }
}

/** Takes a domain from a project. The caller publishes the routes afterwards. Throws `domain.not_found`. */
export function removeDomain(
  deps: { db: Database; clock: Clock; newId: NewId },
  organizationId: string,
  projectId: string,
  input: string,
  by: Actor,
): Promise<void> {
  return inTransaction(deps.db, async (tx) => {
    const project = await readProject(tx, organizationId, projectId)
    const hostname = input.toLowerCase().replace(/\.$/, '')
    const result = await tx
      .deleteFrom('domains')
      .where('project_id', '=', projectId)
      .where('hostname', '=', hostname)
      .executeTakeFirst()
    if (result.numDeletedRows === 0n) {
      throw new OperationError('domain.not_found', `Cannot find domain "${input}"`)
    }
    await recordChange(deps, tx, { project, by, action: 'domain.removed', hostname })
  })
}

async function recordChange(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  change: {
    project: Project
    by: Actor
    action: 'domain.added' | 'domain.removed'
    hostname: string
  },
): Promise<void> {
  const { project, by, action, hostname } = change
  await recordAuditEvent(deps, tx, {
    organizationId: project.organization_id,
    by,
    action,
    target: { kind: 'project', id: project.id, name: project.name },
    details: { hostname },
  })
}
