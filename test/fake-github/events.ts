import { includesLevel, repositoriesOf } from './access.ts'
import { deliver, newGuid } from './deliveries.ts'
import { entry, ownerOf } from './github.ts'
import type { Github } from './github.ts'
import { toAccountJson, toNodeId, toOrganizationJson } from './json/account-json.ts'
import { toInstallationJson } from './json/app-json.ts'
import { toShortRepositoryJson, toWebhookRepositoryJson } from './json/repository-json.ts'
import type { Account, App, Hook, Installation, Permissions, Repository } from './state.ts'

interface RepositoryEvent {
  event: string
  action?: string
  repository: Repository
  sender: Account
  /** What the payload has besides who, where and by which installation. */
  payload: Readonly<Record<string, unknown>>
}

/** Tells everybody who listens to a repository: its own hooks and the Apps that are installed on it. */
export function emitRepositoryEvent(github: Github, happened: RepositoryEvent): void {
  const { event, action = null, repository, sender } = happened
  const owner = ownerOf(github, repository)
  const guid = newGuid()
  const payload = {
    ...(action === null ? {} : { action }),
    repository: toWebhookRepositoryJson(github, repository),
    ...happened.payload,
    ...(owner.type === 'Organization' ? { organization: toOrganizationJson(github, owner) } : {}),
    sender: toAccountJson(github, sender),
  }
  const common = { guid, event, action, repositoryId: repository.id }
  for (const hook of github.state.hooks.values()) {
    if (hook.repositoryId !== repository.id || !listens(hook, event)) continue
    const target = { kind: 'repository', hookId: hook.id } as const
    deliver(github, { ...common, target, installationId: null, body: JSON.stringify(payload) })
  }
  for (const installation of github.state.installations.values()) {
    const app = entry(github.state.apps, installation.appId)
    if (installation.suspended !== null || !app.hook.active) continue
    if (!installation.events.includes(event)) continue
    if (!repositoriesOf(github, installation).includes(repository)) continue
    const reference = { id: installation.id, node_id: toNodeId('I', installation.id) }
    deliver(github, {
      ...common,
      target: { kind: 'app', appId: app.id },
      installationId: installation.id,
      body: JSON.stringify({ ...payload, installation: reference }),
    })
  }
}

function listens(hook: Hook, event: string): boolean {
  return hook.active && (hook.events.includes(event) || hook.events.includes('*'))
}

interface InstallationEvent {
  event: 'installation' | 'installation_repositories'
  action: string
  installation: Installation
  sender: Account
  payload: Readonly<Record<string, unknown>>
}

/** Tells an App about one of its installations: always, whatever it subscribed to, and suspended or not. */
export function emitInstallationEvent(github: Github, happened: InstallationEvent): void {
  const { event, action, installation, sender, payload } = happened
  emitAppEvent(github, entry(github.state.apps, installation.appId), {
    event,
    action,
    installationId: installation.id,
    payload: {
      installation: toWebhookInstallationJson(github, installation, action),
      ...payload,
      sender: toAccountJson(github, sender),
    },
  })
}

/** Times of installations are seconds in most of their events, and text in the two of suspension. */
function toWebhookInstallationJson(github: Github, installation: Installation, action: string) {
  const json = toInstallationJson(github, installation)
  if (action === 'suspend' || action === 'unsuspend') return json
  const toSeconds = (ms: number) => Math.floor(ms / 1000)
  const { createdAt, updatedAt } = installation
  return { ...json, created_at: toSeconds(createdAt), updated_at: toSeconds(updatedAt) }
}

/** `installation` with the repositories that it has. */
export function emitInstallation(
  github: Github,
  action: string,
  installation: Installation,
  sender: Account,
): void {
  const repositories = repositoriesOf(github, installation).map((repository) => {
    return toShortRepositoryJson(github, repository)
  })
  const isBrief = action === 'suspend' || action === 'unsuspend'
  const payload = isBrief ? {} : { repositories, requester: null }
  emitInstallationEvent(github, { event: 'installation', action, installation, sender, payload })
}

export function emitAppEvent(
  github: Github,
  app: App,
  happened: {
    event: string
    action?: string
    installationId?: number
    payload: Readonly<Record<string, unknown>>
  },
): void {
  if (!app.hook.active) return
  const { event, action = null, installationId = null, payload } = happened
  deliver(github, {
    guid: newGuid(),
    target: { kind: 'app', appId: app.id },
    event,
    action,
    installationId,
    repositoryId: null,
    body: JSON.stringify({ ...(action === null ? {} : { action }), ...payload }),
  })
}

/** What a permission lets an App subscribe to; events beside these are refused with a manifest. */
const EVENT_PERMISSIONS: Readonly<Record<string, string>> = {
  push: 'contents',
  create: 'contents',
  delete: 'contents',
  repository: 'metadata',
  public: 'metadata',
  pull_request: 'pull_requests',
  issues: 'issues',
  issue_comment: 'issues',
  deployment: 'deployments',
  deployment_status: 'deployments',
  status: 'statuses',
  check_run: 'checks',
  check_suite: 'checks',
  workflow_run: 'actions',
  member: 'members',
}

/** The first event that these permissions do not allow, or that no App can subscribe to. */
export function findRefusedEvent(
  permissions: Permissions,
  events: readonly string[],
): string | null {
  const refused = events.find((event) => {
    const needed = EVENT_PERMISSIONS[event]
    if (needed === undefined) return true
    return needed !== 'metadata' && !includesLevel(permissions[needed], 'read')
  })
  return refused ?? null
}
