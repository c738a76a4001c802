import { isDeepStrictEqual } from 'node:util'

import { repositoriesOf } from './access.ts'
import { emitAppEvent, emitInstallation, emitInstallationEvent } from './events.ts'
import { entry, now } from './github.ts'
import type { Github } from './github.ts'
import { toAccountJson, toNodeId } from './json/account-json.ts'
import { toShortRepositoryJson } from './json/repository-json.ts'
import type { Account, App, Installation, Repository } from './state.ts'
import { revokeGrant, revokeInstallationTokens } from './tokens.ts'

export interface Selection {
  selection: 'all' | 'selected'
  repositoryIds: number[]
}

export function findInstallationOn(
  github: Github,
  app: App,
  account: Account,
): Installation | null {
  for (const installation of github.state.installations.values()) {
    if (installation.appId === app.id && installation.accountId === account.id) return installation
  }
  return null
}

export function createInstallation(
  github: Github,
  app: App,
  account: Account,
  sender: Account,
  { selection, repositoryIds }: Selection,
): Installation {
  const at = now(github)
  const installation: Installation = {
    id: github.nextId(),
    appId: app.id,
    accountId: account.id,
    selection,
    repositoryIds: selection === 'all' ? [] : repositoryIds,
    permissions: app.permissions,
    events: [...app.events],
    suspended: null,
    createdAt: at,
    updatedAt: at,
  }
  github.state.installations.set(installation.id, installation)
  emitInstallation(github, 'created', installation, sender)
  return installation
}

export function removeInstallation(
  github: Github,
  installation: Installation,
  sender: Account,
): void {
  emitInstallation(github, 'deleted', installation, sender)
  revokeInstallationTokens(github, installation.id)
  github.state.installations.delete(installation.id)
}

export function suspendInstallation(
  github: Github,
  installation: Installation,
  sender: Account,
  isSuspended: boolean,
): void {
  if (isSuspended === (installation.suspended !== null)) return
  installation.suspended = isSuspended ? { at: now(github), by: sender.id } : null
  installation.updatedAt = now(github)
  emitInstallation(github, isSuspended ? 'suspend' : 'unsuspend', installation, sender)
}

/** Says what was added and what was removed, each by an event of its own. */
export function changeInstallationSelection(
  github: Github,
  installation: Installation,
  sender: Account,
  { selection, repositoryIds }: Selection,
): void {
  const before = repositoriesOf(github, installation)
  installation.selection = selection
  installation.repositoryIds = selection === 'all' ? [] : repositoryIds
  installation.updatedAt = now(github)
  const after = repositoriesOf(github, installation)
  emitSelection(github, installation, sender, {
    added: after.filter((repository) => !before.includes(repository)),
    removed: before.filter((repository) => !after.includes(repository)),
  })
}

export function emitSelection(
  github: Github,
  installation: Installation,
  sender: Account,
  changes: { added: readonly Repository[]; removed: readonly Repository[] },
): void {
  for (const action of ['added', 'removed'] as const) {
    if (changes[action].length === 0) continue
    const list = changes[action].map((repository) => toShortRepositoryJson(github, repository))
    emitInstallationEvent(github, {
      event: 'installation_repositories',
      action,
      installation,
      sender,
      payload: {
        repository_selection: installation.selection,
        repositories_added: action === 'added' ? list : [],
        repositories_removed: action === 'removed' ? list : [],
        requester: null,
      },
    })
  }
}

/** What its App asks for and its owner has not accepted yet. */
export function hasPendingPermissions(github: Github, installation: Installation): boolean {
  const app = entry(github.state.apps, installation.appId)
  const isSame =
    isDeepStrictEqual(app.permissions, installation.permissions) &&
    isDeepStrictEqual(new Set(app.events), new Set(installation.events))
  return !isSame
}

export function acceptInstallationPermissions(
  github: Github,
  installation: Installation,
  sender: Account,
): void {
  const app = entry(github.state.apps, installation.appId)
  installation.permissions = app.permissions
  installation.events = [...app.events]
  installation.updatedAt = now(github)
  emitInstallation(github, 'new_permissions_accepted', installation, sender)
}

/** A person takes back what they authorized: all their tokens of this App end. */
export function revokeAuthorization(github: Github, app: App, user: Account): void {
  revokeGrant(github, app.id, user.id)
  emitAppEvent(github, app, {
    event: 'github_app_authorization',
    action: 'revoked',
    payload: { sender: toAccountJson(github, user) },
  })
}

export function renameAccount(github: Github, account: Account, login: string): void {
  const from = account.login
  account.login = login
  for (const installation of github.state.installations.values()) {
    if (installation.accountId !== account.id) continue
    emitAppEvent(github, entry(github.state.apps, installation.appId), {
      event: 'installation_target',
      action: 'renamed',
      installationId: installation.id,
      payload: {
        account: toAccountJson(github, account),
        changes: { login: { from } },
        installation: { id: installation.id, node_id: toNodeId('I', installation.id) },
        target_type: account.type,
        sender: toAccountJson(github, account),
      },
    })
  }
}
