import { createKey, isNameTaken, registerApp } from '../create-app.ts'
import type { AppDraft } from '../create-app.ts'
import { findRefusedEvent } from '../events.ts'
import { entry } from '../github.ts'
import type { AutomaticPerson, Github } from '../github.ts'
import {
  acceptInstallationPermissions,
  changeInstallationSelection,
  createInstallation,
  findInstallationOn,
  removeInstallation,
  revokeAuthorization,
  suspendInstallation,
} from '../installations.ts'
import type { Account, App, Installation, Permissions } from '../state.ts'
import { createUserToken } from '../tokens.ts'
import { toSelection } from '../web/install.ts'
import { pingApp } from '../web/manifest.ts'
import { toAccount, toActor, toApp, toInstallation, toPerson } from './find.ts'
import type { AccountRef, AppRef, InstallationRef } from './find.ts'

interface InstallOptions {
  selection?: 'all' | 'selected'
  /** By name, with `selected`. */
  repositories?: readonly string[]
  by?: AccountRef
}

/** An App with everything that its maker is told once. */
export interface CreatedApp {
  readonly id: number
  readonly slug: string
  readonly clientId: string
  readonly clientSecret: string
  /** PEM, PKCS#1. */
  readonly privateKey: string
  readonly webhookSecret: string | null
}

export interface AppControls {
  /** Not pinged: use `pingApp`. Its events must be allowed by its permissions. */
  createApp(app: AppDraft & { owner: AccountRef }): Promise<CreatedApp>
  pingApp(app: AppRef): void
  /** Another private key (PEM); all of them are good until `removePrivateKey`. */
  addPrivateKey(app: AppRef): Promise<string>
  /** Takes away the oldest. */
  removePrivateKey(app: AppRef): void
  /** All repositories, unless `selected` with names. */
  installApp(app: AppRef, account: AccountRef, options?: InstallOptions): Installation
  uninstall(installation: InstallationRef, by?: AccountRef): void
  suspend(installation: InstallationRef, by?: AccountRef): void
  unsuspend(installation: InstallationRef, by?: AccountRef): void
  changeSelection(installation: InstallationRef, options: InstallOptions): void
  /** What the App asks for from now on; installations keep what they have until it is accepted. */
  requestPermissions(app: AppRef, permissions: Permissions, events?: readonly string[]): void
  acceptPermissions(installation: InstallationRef, by?: AccountRef): void
  /** A person's token as the OAuth flow gives it, without the flow. */
  authorize(app: AppRef, user: AccountRef): { token: string; refreshToken: string | null }
  revokeAuthorization(app: AppRef, user: AccountRef): void
  /** Who clicks on all pages from now on; null shows them. */
  actAs(person: (Partial<AutomaticPerson> & { login: string }) | null): void
}

export function createAppControls(github: Github): AppControls {
  const install = (reference: InstallationRef): [Installation, Account] => {
    const installation = toInstallation(github, reference)
    return [installation, entry(github.state.accounts, installation.accountId)]
  }
  return {
    createApp: async ({ owner, ...draft }) => {
      if (isNameTaken(github, draft.name))
        throw new Error(`Cannot create "${draft.name}": it exists`)
      checkEvents(draft.permissions ?? {}, draft.events ?? [])
      const { app, pem } = await registerApp(github, toAccount(github, owner), draft)
      return toCreated(app, pem)
    },
    pingApp: (app) => pingApp(github, toApp(github, app)),
    addPrivateKey: async (app) => {
      const { publicKey, privateKey } = await createKey()
      toApp(github, app).publicKeys.push(publicKey)
      return privateKey
    },
    removePrivateKey: (app) => void toApp(github, app).publicKeys.shift(),
    installApp: (reference, where, options = {}) => {
      const app = toApp(github, reference)
      const account = toAccount(github, where)
      if (findInstallationOn(github, app, account) !== null) {
        throw new Error(`Cannot install "${app.slug}" on "${account.login}": it is`)
      }
      const selection = toSelected(github, account, options)
      return createInstallation(
        github,
        app,
        account,
        toActor(github, account, options.by),
        selection,
      )
    },
    uninstall: (reference, by) => {
      const [installation, account] = install(reference)
      removeInstallation(github, installation, toActor(github, account, by))
    },
    suspend: (reference, by) => {
      const [installation, account] = install(reference)
      suspendInstallation(github, installation, toActor(github, account, by), true)
    },
    unsuspend: (reference, by) => {
      const [installation, account] = install(reference)
      suspendInstallation(github, installation, toActor(github, account, by), false)
    },
    changeSelection: (reference, options) => {
      const [installation, account] = install(reference)
      const sender = toActor(github, account, options.by)
      const selection = toSelected(github, account, options)
      changeInstallationSelection(github, installation, sender, selection)
    },
    requestPermissions: (reference, permissions, events) => {
      const app = toApp(github, reference)
      checkEvents(permissions, events ?? app.events)
      app.permissions = { metadata: 'read', ...permissions }
      if (events !== undefined) app.events = [...events]
    },
    acceptPermissions: (reference, by) => {
      const [installation, account] = install(reference)
      acceptInstallationPermissions(github, installation, toActor(github, account, by))
    },
    authorize: (app, user) => {
      const { id } = toPerson(github, user)
      github.state.authorizations.add(`${app.id}:${id}`)
      const { token, refresh } = createUserToken(github, toApp(github, app), id)
      return { token: token.token, refreshToken: refresh?.token ?? null }
    },
    revokeAuthorization: (app, user) => {
      revokeAuthorization(github, toApp(github, app), toPerson(github, user))
    },
    actAs: (person) => {
      github.automatic =
        person === null ? null : { ...person, decision: person.decision ?? 'authorize' }
    },
  }
}

function toSelected(github: Github, account: Account, options: InstallOptions) {
  const names = options.repositories ?? []
  const mode = options.selection ?? (names.length > 0 ? 'selected' : 'all')
  return toSelection(github, account, mode, names)
}

function checkEvents(permissions: Permissions, events: readonly string[]): void {
  const refused = findRefusedEvent(permissions, events)
  if (refused !== null) throw new Error(`Cannot subscribe to "${refused}": not permitted`)
}

function toCreated(app: App, privateKey: string): CreatedApp {
  const { id, slug, clientId, clientSecrets, hook } = app
  const clientSecret = clientSecrets[0] ?? ''
  return { id, slug, clientId, clientSecret, privateKey, webhookSecret: hook.secret }
}
