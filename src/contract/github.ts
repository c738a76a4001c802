import { z } from 'zod'

import { time } from './common.ts'

const returnTo = z
  .string()
  .max(2000)
  .optional()
  .meta({ description: 'Path of this site to go to afterwards' })

const permissions = z.record(z.string(), z.string())

export const githubDrift = z.object({
  missing_permissions: permissions.meta({ description: 'Needed and not granted' }),
  missing_events: z.array(z.string()),
  excess_permissions: permissions.meta({ description: 'Granted and not needed' }),
  fix_url: z.string().meta({ description: 'Where its owner changes what the App asks for' }),
})

export const githubApp = z.object({
  id: z.string(),
  name: z.string(),
  status: z.enum(['pending', 'active', 'suspended', 'inactive']),
  status_reason: z.string().nullable(),
  from_environment: z.boolean().meta({ description: 'The operator configured it, for everybody' }),
  app_id: z.number().nullable(),
  slug: z.string(),
  owner_login: z.string(),
  url: z.string().meta({ description: 'Of its page at GitHub' }),
  github_url: z.string(),
  preset: z.enum(['deploy', 'least', 'agents']),
  optional_permissions: z.array(z.enum(['statuses', 'members'])),
  created_at: time,
})

export const examinedGithubApp = githubApp.extend({
  drift: githubDrift.nullable().meta({ description: 'Null when GitHub could not be asked' }),
  webhook_url: z
    .object({
      ours: z.string(),
      told: z.string().nullable().meta({ description: 'Where GitHub sends events to' }),
    })
    .nullable(),
  problem: z.string().nullable().meta({ description: 'Why GitHub could not be asked' }),
})

export const githubApps = z.object({ items: z.array(examinedGithubApp) })

export const manifestBody = z.strictObject({
  owner: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('personal') }),
    z.strictObject({
      kind: z.literal('organization'),
      login: z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9-]{0,98})$/),
    }),
  ]),
  preset: z.enum(['deploy', 'least', 'agents']),
  optional_permissions: z
    .array(z.enum(['statuses', 'members']))
    .max(2)
    .optional(),
  name: z.string().trim().min(1).max(34).optional(),
  github_url: z
    .string()
    .max(2000)
    .optional()
    .meta({ description: 'Of a GitHub Enterprise Server among the allowed Git hosts' }),
})

export const manifest = z.object({
  url: z
    .string()
    .meta({ description: 'Where a form posts the manifest to, as the field "manifest"' }),
  manifest: z.record(z.string(), z.unknown()),
})

/** Whatever comes is answered with a redirection, so nothing of it is refused here. */
const sent = z.string().max(4096).optional().catch(undefined).meta({ type: 'string' })

export const manifestCallbackQuery = z.object({ code: sent, state: sent })
export const githubCallbackQuery = z.object({ code: sent, state: sent, error: sent })

export const githubSetupQuery = z.object({
  installation_id: z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER).optional(),
  setup_action: z.string().max(100).optional(),
  state: z.string().max(4096).optional(),
})

export const githubPageQuery = z.object({ github: sent, error: sent })

export const startGithubBody = z.strictObject({
  integration_id: z.string().max(100).optional().meta({ description: 'Of an App; the first one' }),
  return_to: returnTo,
})

export const githubStart = z.object({
  url: z.string().meta({ description: 'Where the browser goes to connect the account' }),
  install_url: z
    .string()
    .nullable()
    .meta({ description: 'Where the App is installed, or given further repositories' }),
})

export const githubInstallation = z.object({
  id: z.string(),
  integration_id: z.string(),
  installation_id: z.number(),
  account_login: z.string(),
  account_type: z.enum(['User', 'Organization', 'Enterprise']),
  repository_selection: z.enum(['all', 'selected']),
  html_url: z.string(),
  suspended_at: time.nullable(),
  claimed: z.boolean().meta({ description: 'It is the organization’s as a whole' }),
  account_role: z
    .enum(['self', 'admin', 'member', 'none'])
    .nullable()
    .meta({ description: 'What the asker is to its account, as GitHub said last' }),
  missing_permissions: permissions.meta({
    description: 'What the App needs and its owner has not approved: at html_url',
  }),
  synced_at: time.nullable(),
  sync_error: z.string().nullable(),
})

export const unclaimedInstallation = z.object({
  id: z.string(),
  integration_id: z.string(),
  installation_id: z.number(),
  account_login: z.string(),
  account_type: z.enum(['User', 'Organization', 'Enterprise']),
  sender_login: z.string(),
  html_url: z.string(),
  expires_at: time,
})

export const githubInstallations = z.object({ items: z.array(githubInstallation) })
export const unclaimedInstallations = z.object({ items: z.array(unclaimedInstallation) })

export const githubStatus = z.object({
  connected: z.boolean(),
  login: z.string().nullable(),
  accounts: z.array(
    z.object({
      integration_id: z.string(),
      login: z.string(),
      needs_reconnect: z.boolean(),
      connected_at: time,
    }),
  ),
  apps: z.array(githubApp).meta({ description: 'Through which accounts can be connected' }),
  installations: z.array(githubInstallation),
  unclaimed: z.array(unclaimedInstallation),
})

export const disconnectGithubBody = z.strictObject({
  integration_id: z.string().max(100).optional().meta({ description: 'Of one App; all of them' }),
})

export const githubDisconnected = z.object({
  revoked: z.boolean().meta({
    description: 'False when GitHub could not be told: end the grant in its settings',
  }),
  project_ids: z.array(z.string()).meta({ description: 'Deployed by pushes no more' }),
})

export const addGithubKeyBody = z.strictObject({
  private_key: z.string().min(1).max(16_384).meta({ description: 'As GitHub gives it, PEM' }),
})
