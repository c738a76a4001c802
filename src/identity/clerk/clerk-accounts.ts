import type { Database } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import type { ClerkProjection } from './clerk-projection.ts'
import { addClerkAccount } from './project-user.ts'

const BATCH = 200

/**
 * Lets everybody whom Clerk fed before its issuer was configured sign in with it too. Run when the control plane
 * starts; finds nobody at most starts.
 */
export async function addMissingClerkAccounts(
  deps: Pick<ClerkProjection, 'clock' | 'newId' | 'config'> & { db: Database },
): Promise<void> {
  const { clerkIssuer } = deps.config
  if (clerkIssuer === null) return
  for (let after = ''; ;) {
    const people = await deps.db
      .selectFrom('users')
      .select(['id', 'clerk_user_id'])
      .where('id', '>', after)
      .where('clerk_user_id', 'is not', null)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('accounts')
              .select('accounts.id')
              .whereRef('accounts.account_id', '=', 'users.clerk_user_id')
              .where('accounts.provider_id', '=', clerkIssuer),
          ),
        ),
      )
      .orderBy('id')
      .limit(BATCH)
      .execute()
    const last = people.at(-1)
    if (last === undefined) return
    await inTransaction(deps.db, async (tx) => {
      for (const { id, clerk_user_id: clerkUserId } of people) {
        if (clerkUserId !== null) await addClerkAccount(deps, tx, { userId: id, clerkUserId })
      }
    })
    after = last.id
  }
}
