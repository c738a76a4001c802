import { z } from 'zod'

import { toIsoTime } from '../../lib/clock.ts'
import type {
  AppFacts,
  DeliveryFacts,
  GithubSite,
  InstallationFacts,
  RepositoryFacts,
} from '../github-host.ts'
import { invalidAnswer } from './transport.ts'

/** A number that JSON did not have to round. */
export const positiveId = z.int().positive()
/** Header values are made of it. */
export const tokenText = z.string().regex(/^[\x21-\x7e]{1,4096}$/)
/** As all times of ours are written. */
export const moment = z.iso
  .datetime({ offset: true })
  .transform((text) => toIsoTime(Date.parse(text)))
export const commitId = z.string().regex(/^[0-9a-f]{40}(?:[0-9a-f]{24})?$/)
const name = z.string().min(1).max(1000)
const permissions = z.record(z.string(), z.string())
const accountType = z.enum(['User', 'Organization', 'Enterprise'])

/** An enterprise has a slug in the place of a login. */
const account = z
  .object({
    id: positiveId,
    login: name.optional(),
    slug: name.optional(),
    type: z.string().optional(),
  })
  .transform(({ id, login, slug, type }) => ({
    id,
    login: login ?? slug ?? '',
    type: accountType.catch('Enterprise').parse(type),
  }))

export const userShape = z.object({ id: positiveId, login: name })

export const appShape = z.object({
  id: positiveId,
  slug: name,
  name,
  client_id: name,
  html_url: z.string(),
  owner: account.nullish(),
  permissions,
  events: z.array(z.string()),
})

export function toAppFacts(app: z.output<typeof appShape>, skewMs: number | null): AppFacts {
  return {
    id: app.id,
    slug: app.slug,
    name: app.name,
    clientId: app.client_id,
    ownerLogin: app.owner?.login ?? '',
    permissions: app.permissions,
    events: app.events,
    clockSkewSeconds: Math.round((skewMs ?? 0) / 1000),
  }
}

export const installationShape = z.object({
  id: positiveId,
  app_id: positiveId,
  app_slug: name,
  account,
  target_type: name,
  target_id: positiveId,
  repository_selection: z.enum(['all', 'selected']),
  permissions,
  events: z.array(z.string()),
  html_url: z.string(),
  suspended_at: moment.nullish(),
})

/** The account of an installation may have been deleted: it is of no use then. */
export const installationsShape = z
  .array(z.union([installationShape, z.object({ id: positiveId, account: z.null() })]))
  .transform((list) => list.filter((entry) => entry.account !== null))

export function toInstallationFacts(
  installation: z.output<typeof installationShape>,
): InstallationFacts {
  return {
    id: installation.id,
    appId: installation.app_id,
    appSlug: installation.app_slug,
    account: installation.account,
    targetType: installation.target_type,
    targetId: installation.target_id,
    repositorySelection: installation.repository_selection,
    permissions: installation.permissions,
    events: installation.events,
    htmlUrl: installation.html_url,
    suspendedAt: installation.suspended_at ?? null,
  }
}

const flag = z.boolean().default(false)

export const repositoryShape = z.object({
  id: positiveId,
  node_id: name,
  owner: z.object({ login: name }),
  name,
  full_name: name,
  default_branch: name,
  private: z.boolean(),
  html_url: z.string(),
  clone_url: z.string(),
  archived: flag,
  disabled: flag,
  pushed_at: moment.nullish(),
  permissions: z.object({ admin: flag, push: flag, pull: flag }).optional(),
})

/** Throws `github.invalid_answer` for addresses elsewhere: credentials would be sent there. */
export function toRepositoryFacts(
  site: GithubSite,
  repository: z.output<typeof repositoryShape>,
): RepositoryFacts {
  for (const address of [repository.clone_url, repository.html_url]) {
    if (address.startsWith(`${site.webUrl}/`)) continue
    throw invalidAnswer(new URL(site.apiUrl).host, 'a repository has its address somewhere else')
  }
  const { admin, push, pull } = repository.permissions ?? { admin: false, push: false, pull: false }
  return {
    id: repository.id,
    nodeId: repository.node_id,
    ownerLogin: repository.owner.login,
    name: repository.name,
    fullName: repository.full_name,
    defaultBranch: repository.default_branch,
    isPrivate: repository.private,
    htmlUrl: repository.html_url,
    cloneUrl: repository.clone_url,
    archived: repository.archived,
    disabled: repository.disabled,
    pushedAt: repository.pushed_at ?? null,
    permissions: { admin, push, pull },
  }
}

export const deliveryShape = z.object({
  id: positiveId,
  guid: name,
  delivered_at: moment,
  status: z.string(),
  status_code: z.int().nullish(),
  event: name,
  redelivery: flag,
})

export function toDeliveryFacts(delivery: z.output<typeof deliveryShape>): DeliveryFacts {
  return {
    id: delivery.id,
    guid: delivery.guid,
    deliveredAt: delivery.delivered_at,
    status: delivery.status,
    // Without an answer it is 0, or missing.
    statusCode: (delivery.status_code ?? 0) === 0 ? null : (delivery.status_code ?? null),
    event: delivery.event,
    redelivery: delivery.redelivery,
  }
}
