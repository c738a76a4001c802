import { appOf } from '../access.ts'
import { entry, toTime } from '../github.ts'
import type { Github } from '../github.ts'
import { fullName } from '../github.ts'
import type { App, Delivery, Hook, HookConfig, Installation, Schemas } from '../state.ts'
import { toAccountJson, toNodeId } from './account-json.ts'

export function toAppJson(github: Github, app: App): NonNullable<Schemas['integration']> {
  const installations = [...github.state.installations.values()]
  return {
    id: app.id,
    slug: app.slug,
    node_id: toNodeId('A', app.id),
    client_id: app.clientId,
    owner: toAccountJson(github, entry(github.state.accounts, app.ownerId)),
    name: app.name,
    description: app.description,
    external_url: app.url,
    html_url: `${github.webUrl}/apps/${app.slug}`,
    created_at: toTime(app.createdAt),
    updated_at: toTime(app.createdAt),
    permissions: { ...app.permissions },
    events: [...app.events],
    installations_count: installations.filter(({ appId }) => appId === app.id).length,
  }
}

export function toInstallationJson(
  github: Github,
  installation: Installation,
): Schemas['installation'] {
  const account = entry(github.state.accounts, installation.accountId)
  const { suspended } = installation
  const suspendedBy = suspended?.by ?? null
  const settings = account.type === 'User' ? 'settings' : `organizations/${account.login}/settings`
  const app = appOf(github, installation)
  return {
    id: installation.id,
    client_id: app.clientId,
    account: toAccountJson(github, account),
    repository_selection: installation.selection,
    access_tokens_url: `${github.apiUrl}/app/installations/${installation.id}/access_tokens`,
    repositories_url: `${github.apiUrl}/installation/repositories`,
    html_url: `${github.webUrl}/${settings}/installations/${installation.id}`,
    app_id: app.id,
    app_slug: app.slug,
    target_id: account.id,
    target_type: account.type,
    permissions: { ...installation.permissions },
    events: [...installation.events],
    created_at: toTime(installation.createdAt),
    updated_at: toTime(installation.updatedAt),
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by:
      suspendedBy === null
        ? null
        : toAccountJson(github, entry(github.state.accounts, suspendedBy)),
    suspended_at: suspended === null ? null : toTime(suspended.at),
  }
}

/** A secret is never told again, only that there is one. */
export function toHookConfigJson(config: HookConfig): Schemas['webhook-config'] {
  return {
    content_type: config.contentType,
    insecure_ssl: config.insecureSsl,
    ...(config.secret === null ? {} : { secret: '********' }),
    url: config.url,
  }
}

export function toHookJson(github: Github, hook: Hook): Schemas['hook'] {
  const repository = entry(github.state.repositories, hook.repositoryId)
  const url = `${github.apiUrl}/repos/${fullName(github, repository)}/hooks/${hook.id}`
  return {
    type: 'Repository',
    id: hook.id,
    name: 'web',
    active: hook.active,
    events: [...hook.events],
    config: toHookConfigJson(hook.config),
    updated_at: toTime(hook.updatedAt),
    created_at: toTime(hook.createdAt),
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: hook.lastResponse,
  }
}

export function toDeliveryItemJson(delivery: Delivery) {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: new Date(delivery.deliveredAt).toISOString(),
    redelivery: delivery.redelivery,
    duration: delivery.duration,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at:
      delivery.throttledAt === null ? null : new Date(delivery.throttledAt).toISOString(),
  } satisfies Schemas['hook-delivery-item']
}

export function toDeliveryJson(delivery: Delivery): Schemas['hook-delivery'] {
  return {
    ...toDeliveryItemJson(delivery),
    url: delivery.url,
    request: {
      headers: { ...delivery.requestHeaders },
      payload: JSON.parse(delivery.body) as Record<string, unknown>,
    },
    response: { headers: { ...delivery.responseHeaders }, payload: delivery.responseBody },
  }
}
