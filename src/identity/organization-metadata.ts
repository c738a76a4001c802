import type { Actor } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import type { NewId } from '../lib/ids.ts'

/** What an organization told about itself when it began; nothing of it decides anything. */
export interface OrganizationMetadata {
  company_size: string | null
  team_size: string | null
  use_cases: string[]
  observability_stack: string[]
  /** Since when nobody is asked again. */
  completed_at: string | null
}

const COLUMNS = [
  'company_size',
  'team_size',
  'use_cases',
  'observability_stack',
  'completed_at',
] as const

const NOTHING: OrganizationMetadata = {
  company_size: null,
  team_size: null,
  use_cases: [],
  observability_stack: [],
  completed_at: null,
}

export async function readOrganizationMetadata(
  db: Database | Tx,
  organizationId: string,
): Promise<OrganizationMetadata> {
  const row = await db
    .selectFrom('organization_metadata')
    .select(COLUMNS)
    .where('organization_id', '=', organizationId)
    .executeTakeFirst()
  return row ?? NOTHING
}

/** Replaces the facts. `completed` sets the time once; it is never taken back. */
export function replaceOrganizationMetadata(
  deps: { db: Database; clock: Clock; newId: NewId },
  organizationId: string,
  input: Omit<OrganizationMetadata, 'completed_at'> & { completed: boolean; by: Actor },
): Promise<OrganizationMetadata> {
  const { completed, by, use_cases, observability_stack, ...sizes } = input
  const now = toIsoTime(deps.clock.now())
  const facts = {
    ...sizes,
    use_cases: [...new Set(use_cases)],
    observability_stack: [...new Set(observability_stack)],
  }
  return inTransaction(deps.db, async (tx) => {
    await tx
      .insertInto('organization_metadata')
      .values({
        ...facts,
        organization_id: organizationId,
        completed_at: completed ? now : null,
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) =>
        conflict.column('organization_id').doUpdateSet((eb) => ({
          ...facts,
          completed_at: completed
            ? eb.fn.coalesce('organization_metadata.completed_at', eb.val(now))
            : eb.ref('organization_metadata.completed_at'),
          updated_at: now,
        })),
      )
      .execute()
    await recordAuditEvent(deps, tx, {
      organizationId,
      by,
      action: 'organization.updated',
      target: { kind: 'organization', id: organizationId },
      details: { metadata: { ...facts, completed } },
    })
    return await readOrganizationMetadata(tx, organizationId)
  })
}
