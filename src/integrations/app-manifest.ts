import type { GithubSite } from '../githosts/github-host.ts'
import { needsOf, PERMISSION_PRESETS } from './permission-presets.ts'
import type { OptionalPermission, PresetName } from './permission-presets.ts'

/** For whom GitHub is to make an App. */
export type ManifestOwner = { kind: 'personal' } | { kind: 'organization'; login: string }

export interface ManifestOrder {
  owner: ManifestOwner
  preset: PresetName
  optionalPermissions: readonly OptionalPermission[]
  name: string
}

/** GitHub's limit for names of Apps. */
export const MAX_APP_NAME_LENGTH = 34

/** What GitHub is asked to make, as its form takes it. */
export interface AppManifest {
  name: string
  url: string
  hook_attributes: { url: string; active: boolean }
  redirect_url: string
  callback_urls: string[]
  setup_url: string
  setup_on_update: boolean
  public: boolean
  request_oauth_on_install: boolean
  default_permissions: Record<string, string>
  default_events: string[]
}

/** A manifest whose addresses are all ours. */
export function buildManifest(
  publicBaseUrl: string,
  order: ManifestOrder,
  hookPublicId: string,
): AppManifest {
  const api = `${publicBaseUrl}/api/integrations/github`
  const { permissions } = needsOf(order.preset, order.optionalPermissions)
  const { events, furtherEvents } = PERMISSION_PRESETS[order.preset]
  return {
    name: order.name,
    url: publicBaseUrl,
    hook_attributes: { url: `${publicBaseUrl}/hooks/${hookPublicId}`, active: true },
    redirect_url: `${api}/manifest/callback`,
    callback_urls: [`${api}/callback`],
    setup_url: `${api}/setup`,
    setup_on_update: true,
    // Of one NanoScale alone: others install nothing of it.
    public: false,
    request_oauth_on_install: false,
    default_permissions: { ...permissions },
    default_events: [...events, ...furtherEvents],
  }
}

/** Where a browser posts the manifest to. */
export function manifestUrl({ webUrl }: GithubSite, owner: ManifestOwner, state: string): string {
  const place =
    owner.kind === 'organization' ? `/organizations/${encodeURIComponent(owner.login)}` : ''
  return `${webUrl}${place}/settings/apps/new?state=${encodeURIComponent(state)}`
}

/** Short, and hardly somebody else's: names of Apps are unique over all of a GitHub. */
export function defaultAppName(publicBaseUrl: string): string {
  const { hostname } = new URL(publicBaseUrl)
  return `NanoScale ${hostname}`.slice(0, MAX_APP_NAME_LENGTH).trim()
}
