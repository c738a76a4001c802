import { ROLES, type Permission } from '../contract/permissions.ts'
import type { Principal } from './principal.ts'

/**
 * Whether somebody may do what a row of the table of permissions speaks of, in the organization of their membership.
 * Null is somebody whom we do not know. A token may what its maker now may, and of that only what its scopes name.
 */
export function allows(
  permission: Permission,
  principal: Principal | null,
): 'yes' | 'unauthenticated' | 'forbidden' {
  if (permission.who === 'everyone') return 'yes'
  if (principal === null) return 'unauthenticated'
  return isWho(permission.who, principal) && isInScope(permission.scope, principal)
    ? 'yes'
    : 'forbidden'
}

function isWho(who: Exclude<Permission['who'], 'everyone'>, principal: Principal): boolean {
  if (who === 'signedIn') return true
  if (who === 'person') return principal.kind === 'user'
  if (who === 'operator') return principal.kind === 'operator'
  const role = principal.membership?.role
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(who)
}

function isInScope(scope: Permission['scope'], principal: Principal): boolean {
  if (principal.kind !== 'token' || scope === null) return true
  return principal.scopes.includes('*') || principal.scopes.includes(scope)
}
