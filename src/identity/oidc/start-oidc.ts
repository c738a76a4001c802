import type { Database } from '../../database/database.ts'
import type { Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { NewId } from '../../lib/ids.ts'
import type { Keyring } from '../../secrets/keyring.ts'
import { randomOauthValue, storeOauthState, type OauthPurpose } from '../oauth-states.ts'
import { safeReturnPath } from '../return-path.ts'
import type { Oidc } from './create-oidc.ts'

/** What is kept, sealed, while somebody is at the provider. */
export interface OidcRequest {
  verifier: string
  nonce: string
  returnTo: string
  invitationToken: string | null
}

/** The provider of single sign-on, or `oidc.not_configured`. */
export function configuredOidc({ oidc }: { oidc: Oidc | null }): Oidc {
  if (oidc !== null) return oidc
  throw new OperationError(
    'oidc.not_configured',
    'Cannot use single sign-on: no identity provider is configured here',
  )
}

/**
 * Begins a trip to the provider: `url` is where to send the browser, `binding` goes into a cookie of this browser. Of
 * the binding that it has, so that two tabs may sign in at the same time. Throws `oidc.not_configured`,
 * `oidc.unavailable`.
 */
export async function startOidc(
  deps: {
    db: Database
    clock: Clock
    newId: NewId
    keyring: Pick<Keyring, 'seal' | 'open'>
    oidc: Oidc | null
  },
  start: {
    purpose: OauthPurpose
    /** Of the person who links. */
    userId: string | null
    binding: string | null
    returnTo: string | null
    invitationToken: string | null
  },
): Promise<{ url: string; binding: string }> {
  const state = randomOauthValue()
  const binding = start.binding ?? randomOauthValue()
  const { url, verifier, nonce } = await configuredOidc(deps).authorize(state)
  const request: OidcRequest = {
    verifier,
    nonce,
    returnTo: safeReturnPath(start.returnTo),
    invitationToken: start.invitationToken,
  }
  const { purpose, userId } = start
  await storeOauthState(deps, { state, binding, purpose, userId, request })
  return { url, binding }
}
