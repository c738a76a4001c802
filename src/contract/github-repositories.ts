import { z } from 'zod'

import { pageOf, pageQuery, time } from './common.ts'

const hostId = z.coerce.number().int().positive()
const app = z.string().max(100).optional().meta({
  description: 'The GitHub App, where several have an installation of this number',
})

export const repositoriesQuery = z.object({
  ...pageQuery.shape,
  cursor: z.string().max(400).optional().meta({ description: '`next_cursor` of the page before' }),
  installation_id: hostId,
  integration_id: app,
  query: z.string().max(200).optional().meta({ description: 'A part of owner/name' }),
})

export const branchesQuery = z.object({
  ...pageQuery.shape,
  cursor: z.string().max(400).optional().meta({ description: '`next_cursor` of the page before' }),
  installation_id: hostId,
  repo_id: hostId,
  integration_id: app,
  query: z.string().max(200).optional().meta({ description: 'A part of the name' }),
})

export const syncBody = z.strictObject({
  installation_id: z.number().int().positive(),
  integration_id: app,
})

const githubRepository = z.object({
  integration_id: z.string(),
  installation_id: z.number().int(),
  repo_id: z.number().int(),
  node_id: z.string(),
  owner_login: z.string(),
  name: z.string(),
  full_name: z.string(),
  default_branch: z.string(),
  private: z.boolean(),
  archived: z.boolean(),
  disabled: z.boolean(),
  html_url: z.string(),
  clone_url: z.string(),
  pushed_at: time.nullable(),
  permissions: z
    .object({ admin: z.boolean(), push: z.boolean(), pull: z.boolean() })
    .nullable()
    .meta({ description: 'Your own at GitHub; null where you see it by the claim alone' }),
  selectable: z.boolean().meta({ description: 'You may make a project of it' }),
  last_synced_at: time,
})

export const githubRepositories = pageOf(githubRepository).extend({
  synced_at: time.nullable().meta({ description: 'When all of the installation was read last' }),
  sync_error: z.string().nullable(),
})

export const syncAnswer = z.object({
  state: z
    .enum(['done', 'running'])
    .meta({ description: 'Reading a large installation goes on behind the answer' }),
  repositories: z.number().int().nullable(),
  removed: z.number().int().nullable(),
})

export const githubBranches = pageOf(z.object({ name: z.string(), head: z.string() })).extend({
  complete: z.boolean().meta({ description: 'False: there are more than are looked through' }),
})
