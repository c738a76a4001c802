import type { Tx } from '../database/database.ts'
import type { HookTable } from '../database/webhook-tables.ts'
import { toIsoTime } from '../lib/clock.ts'
import { Secret } from '../lib/secret.ts'
import { randomHookValue, sealHookSecret } from './app-hooks.ts'
import type { IntegrationDeps } from './integration-deps.ts'

/** True where GitHub lets us keep webhooks at repositories; else the App's own webhook tells of pushes. */
export function mayKeepHooks(permissions: Readonly<Record<string, string>>): boolean {
  return permissions['repository_hooks'] === 'write'
}

interface HookPlace {
  organizationId: string
  integrationId: string
  repoId: number
}

/** The row of a repository's hook, with a secret that nobody knows yet; to be made before a transaction begins. */
export function prepareRepositoryHook(
  deps: Pick<IntegrationDeps, 'clock' | 'newId' | 'keyring'>,
  place: HookPlace,
): HookTable {
  const id = deps.newId()
  const now = toIsoTime(deps.clock.now())
  return {
    id,
    organization_id: place.organizationId,
    public_id: randomHookValue(),
    kind: 'repository',
    integration_id: place.integrationId,
    repository_id: place.repoId,
    host_hook_id: null,
    secret_sealed: sealHookSecret(deps, id, new Secret(randomHookValue())),
    previous_secret_sealed: null,
    previous_secret_until: null,
    state: 'pending',
    error_message: null,
    last_delivery_at: null,
    swept_at: null,
    created_at: now,
    updated_at: now,
  }
}

/**
 * The hook of a repository for one more project of the organization: the one that is there, also when it was to be
 * removed, else `prepared`. It is made at GitHub later, by `keepHook`.
 */
export async function shareHook(
  tx: Tx,
  place: HookPlace,
  prepared: HookTable,
): Promise<Pick<HookTable, 'id' | 'host_hook_id'>> {
  const { organizationId, integrationId, repoId } = place
  const present = await tx
    .selectFrom('hooks')
    .select(['id', 'host_hook_id', 'state'])
    .where('organization_id', '=', organizationId)
    .where('integration_id', '=', integrationId)
    .where('repository_id', '=', repoId)
    .where('kind', '=', 'repository')
    .where('state', '<>', 'removed')
    .executeTakeFirst()
  if (present === undefined) {
    await tx.insertInto('hooks').values(prepared).execute()
    return prepared
  }
  if (present.state === 'removing') {
    await tx
      .updateTable('hooks')
      .set({ state: 'pending', swept_at: null, updated_at: prepared.created_at })
      .where('id', '=', present.id)
      .execute()
  }
  return present
}

/** Takes a project's link away, and its hook with it when no other project needs that: it is removed at GitHub later. */
export async function unlinkProject(tx: Tx, projectId: string, now: string): Promise<void> {
  const link = await tx
    .deleteFrom('project_github_links')
    .where('project_id', '=', projectId)
    .returning('hook_id')
    .executeTakeFirst()
  const hookId = link?.hook_id ?? null
  if (hookId === null) return
  await tx
    .updateTable('hooks')
    .set({ state: 'removing', swept_at: null, updated_at: now })
    .where('id', '=', hookId)
    .where((of) =>
      of.not(
        of.exists(
          of
            .selectFrom('project_github_links as other')
            .select('other.id')
            .where('other.hook_id', '=', hookId),
        ),
      ),
    )
    .execute()
}

/** GitHub's number of a hook, as links have it. */
export function toHostId(hostHookId: string | null): number | null {
  return hostHookId === null ? null : Number(hostHookId)
}
