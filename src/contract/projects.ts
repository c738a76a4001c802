import { z } from 'zod'

import { pageQuery, time } from './common.ts'
import { deploymentSummary } from './deployments.ts'

/** What a client may send back in place of a value that it was never shown: the stored one stays. */
export const MASKED_VALUE = '••••••••'

export const variableScope = z.enum(['build', 'run', 'both'])

const command = z.string().trim().min(1).max(2000)
const path = z.string().min(1).max(500)

/** The manual kind of source: a repository's URL and a branch. */
const source = {
  repo_url: z.string().min(1).max(2000).meta({ description: 'https://… of the Git repository' }),
  branch: z.string().min(1).max(255),
}

const settings = {
  root_directory: path.nullish().meta({ description: 'Directory of the repository with the app' }),
  install_command: command.nullish(),
  build_command: command.nullish(),
  start_command: command.nullish(),
  release_command: command
    .nullish()
    .meta({ description: 'Runs once, before the new version starts' }),
  output_directory: path.nullish(),
  health_path: path.nullish().meta({ description: 'Polled until it answers 2xx or 3xx' }),
  watch_paths: z
    .array(path)
    .max(100)
    .nullish()
    .meta({ description: 'Only changes that match one of these deploy' }),
  auto_deploy: z.boolean().optional(),
  poll_interval_seconds: z.number().int().min(5).max(86_400).optional(),
}

const variableInput = z.strictObject({
  name: z.string().max(256),
  value: z
    .string()
    .max(65_536)
    .optional()
    .meta({ description: `Left out, or "${MASKED_VALUE}": the stored value stays` }),
  scope: variableScope
    .optional()
    .meta({ description: 'Who sees it; `both`, or what it was, unless given' }),
})

export const environmentBody = z.strictObject({ variables: z.array(variableInput).min(1).max(500) })

/** A repository of GitHub, by ids that never change. */
const githubSource = z.strictObject({
  installation_id: z.number().int().positive(),
  repo_id: z.number().int().positive(),
  selected_branch: source.branch,
  integration_id: z
    .string()
    .max(100)
    .optional()
    .meta({ description: 'The GitHub App, where several have an installation of this number' }),
})

export const createProjectBody = z
  .strictObject({
    name: z.string().min(1).max(100),
    repo_url: source.repo_url.optional(),
    branch: source.branch.optional(),
    github_source: githubSource
      .optional()
      .meta({ description: 'Instead of `repo_url` and `branch`' }),
    ...settings,
    environment: z.array(variableInput).max(500).optional(),
  })
  .superRefine(({ repo_url, branch, github_source }, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message })
    const manual = { repo_url, branch }
    for (const [field, value] of Object.entries(manual)) {
      if (github_source !== undefined && value !== undefined) {
        refuse(field, 'give this or github_source, not both')
      }
      if (github_source === undefined && value === undefined) {
        refuse(field, 'give repo_url and branch, or github_source')
      }
    }
    const isBoth = github_source !== undefined && (repo_url ?? branch) !== undefined
    const isNone = [repo_url, branch, github_source].every((value) => value === undefined)
    if (isBoth) refuse('github_source', 'give this or repo_url and branch, not both')
    if (isNone) refuse('github_source', 'give repo_url and branch, or github_source')
  })

export const updateProjectBody = z
  .strictObject({ name: z.string().min(1).max(100), ...source, ...settings })
  .partial()

export const projectsQuery = z.object({
  ...pageQuery.shape,
  name: z.string().max(100).optional().meta({ description: 'Only the project of this name' }),
})

const text = z.string().nullable()

export const project = z.object({
  id: z.string(),
  name: z.string(),
  url: z.string().meta({ description: 'Where the app answers' }),
  source: z.enum(['manual', 'github', 'connection']),
  repo_url: z.string(),
  branch: z.string(),
  github: z
    .object({
      integration_id: z.string(),
      installation_id: z.number().int(),
      repo_id: z.number().int(),
      full_name: z.string(),
      private: z.boolean(),
      default_branch: z.string(),
      active: z.boolean().meta({ description: 'Pushes deploy' }),
      inactive_reason: text,
      webhook: z
        .enum(['app', 'pending', 'active', 'failed'])
        .meta({ description: "What tells of pushes: the App's webhook, or the repository's own" }),
      webhook_error: text,
    })
    .nullable(),
  runtime: z.enum(['process', 'docker', 'swarm']),
  root_directory: text,
  install_command: text,
  build_command: text,
  start_command: text,
  release_command: text,
  output_directory: text,
  health_path: text,
  watch_paths: z.array(z.string()).nullable(),
  auto_deploy: z.boolean(),
  poll_interval_seconds: z.number().int(),
  source_error: text.meta({ description: 'Why the last look at the branch failed' }),
  considered_head: text.meta({ description: 'The newest commit that was decided about' }),
  app_state: z
    .enum(['not_deployed', 'starting', 'running', 'crashed'])
    .meta({ description: 'Of what is live' }),
  domains: z.array(z.string()),
  live_deployment: deploymentSummary.nullable(),
  latest_deployment: deploymentSummary.nullable(),
  created_at: time,
  updated_at: time,
})

/** A variable without its value: values are write-only. */
export const variable = z.object({
  name: z.string(),
  scope: variableScope,
  set: z.literal(true),
  updated_at: time,
})

export const environment = z.object({ variables: z.array(variable) })

export const environmentChange = z.object({
  variables: z.array(variable),
  deployment_id: z
    .string()
    .nullable()
    .meta({ description: 'The deployment that restarts the app with it' }),
})

export const variableParams = z.object({
  id: z.string().min(1).max(100),
  name: z.string().min(1).max(256),
})

export const domain = z.object({ hostname: z.string(), url: z.string(), created_at: time })

export const domains = z.object({ items: z.array(domain) })

export const domainBody = z.strictObject({ hostname: z.string().min(1).max(300) })

export const domainParams = z.object({
  id: z.string().min(1).max(100),
  hostname: z.string().min(1).max(300),
})
