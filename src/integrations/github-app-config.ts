import { z } from 'zod'

import {
  OPTIONAL_PERMISSION_NAMES,
  PRESET_NAMES,
  needsOf,
  type Needs,
} from './permission-presets.ts'

/** What `integrations.config` holds of an App: no secrets. */
const githubAppConfig = z.object({
  /** Null until GitHub made the App. */
  appId: z.number().nullable(),
  slug: z.string(),
  clientId: z.string(),
  ownerLogin: z.string(),
  /** Null where nobody told: an App from the environment. */
  ownerType: z.enum(['User', 'Organization']).nullable(),
  apiUrl: z.string(),
  webUrl: z.string(),
  permissionsPreset: z.enum(PRESET_NAMES),
  optionalPermissions: z.array(z.enum(OPTIONAL_PERMISSION_NAMES)),
  environment: z.literal(true).optional(),
})

export type GithubAppConfig = z.infer<typeof githubAppConfig>

/** As stored; throws when it is none of an App. */
export function parseAppConfig(config: Record<string, unknown>): GithubAppConfig {
  return githubAppConfig.parse(config)
}

/** What the App must be granted. */
export function needsOfApp(config: GithubAppConfig): Needs {
  return needsOf(config.permissionsPreset, config.optionalPermissions)
}

/** Where its owner changes what the App asks for; its public page when the owner's kind is not known. */
export function permissionsUrl({ webUrl, slug, ownerLogin, ownerType }: GithubAppConfig): string {
  if (ownerType === null) return `${webUrl}/apps/${slug}`
  const owner =
    ownerType === 'Organization' ? `/organizations/${encodeURIComponent(ownerLogin)}` : ''
  return `${webUrl}${owner}/settings/apps/${slug}/permissions`
}

/** Where the App's owner sees it, its keys and its deliveries. */
export function appPageUrl({ webUrl, slug }: GithubAppConfig): string {
  return `${webUrl}/apps/${slug}`
}
