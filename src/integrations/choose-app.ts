import type { Database } from '../database/database.ts'
import { OperationError } from '../lib/errors.ts'
import { listUsableApps, readAppOf, type AppRow } from './github-apps.ts'

/**
 * The App that was named, or the first that the organization may use. Throws `integration.not_found`,
 * `integration.none`.
 */
export async function chooseApp(
  db: Database,
  organizationId: string,
  integrationId: string | null,
): Promise<AppRow> {
  if (integrationId !== null) return await readAppOf(db, organizationId, integrationId)
  const [first] = await listUsableApps(db, organizationId)
  if (first !== undefined) return first
  throw new OperationError(
    'integration.none',
    'Cannot connect GitHub: there is no GitHub App here that this organization may use',
  )
}
