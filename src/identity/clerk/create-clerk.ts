import type { Database } from '../../database/database.ts'
import type { Role } from '../../database/schema.ts'
import type { Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { NewId } from '../../lib/ids.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Secret } from '../../lib/secret.ts'
import { addMissingClerkAccounts } from './clerk-accounts.ts'
import { forgetClerkMessages } from './clerk-records.ts'
import { createClerkWebhook, type ClerkWebhook } from './receive-clerk-message.ts'
import type { ClerkSessions } from './verify-clerk-session.ts'

interface ClerkConfig {
  clerkWebhookSecret: Secret | null
  clerkIssuer: string | null
  clerkJwksUrl: string | null
  clerkJwtKey: string | null
  clerkAuthorizedParties: readonly string[]
  clerkRoles: Readonly<Record<string, Role>>
}

/**
 * Clerk as this instance's source of people, as far as it is configured. Throws `clerk.unisolated` when it would let
 * people in who could read one another's secrets.
 */
export async function createClerk(
  deps: { db: Database; clock: Clock; newId: NewId; log: Logger; config: ClerkConfig },
  facts: { isolation: 'users' | 'namespaces' | 'none'; allowUnisolated: boolean },
): Promise<{ clerkWebhook: ClerkWebhook; clerkSessions: ClerkSessions | null }> {
  const { config } = deps
  if (config.clerkWebhookSecret !== null) refuseUnisolatedClerk(facts)
  await addMissingClerkAccounts(deps)
  const { clerkIssuer } = config
  const clerkWebhook = createClerkWebhook(deps)
  if (clerkIssuer === null) return { clerkWebhook, clerkSessions: null }
  // Only now: the library that checks these tokens costs every start without Clerk time and memory.
  const { createClerkSessions } = await import('./verify-clerk-session.ts')
  const clerkSessions = createClerkSessions({ ...deps, config: { ...config, clerkIssuer } })
  return { clerkWebhook, clerkSessions }
}

function refuseUnisolatedClerk(facts: {
  isolation: 'users' | 'namespaces' | 'none'
  allowUnisolated: boolean
}): void {
  if (facts.isolation !== 'none' || facts.allowUnisolated) return
  throw new OperationError(
    'clerk.unisolated',
    'Cannot take people from Clerk (NANOSCALE_CLERK_WEBHOOK_SECRET): apps are not isolated from one another here; start NanoScale as root, or set NANOSCALE_ALLOW_UNISOLATED=1 if everybody may see everything',
  )
}

/** What is done about Clerk from time to time. */
export function clerkJobs(deps: { db: Database; clock: Clock }) {
  return [
    {
      name: 'forget-clerk-messages',
      everySeconds: 86_400,
      leaseSeconds: 300,
      run: () => forgetClerkMessages(deps),
    },
  ]
}
