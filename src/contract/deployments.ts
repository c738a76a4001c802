import { z } from 'zod'

import { time } from './common.ts'

export const deploymentState = z.enum([
  'queued',
  'fetching',
  'building',
  'releasing',
  'starting',
  'checking',
  'switching',
  'cancelling',
  'live',
  'failed',
  'superseded',
  'cancelled',
  'interrupted',
])

const text = z.string().nullable()

export const deploymentSummary = z.object({
  id: z.string(),
  project_id: z.string(),
  number: z.number().int(),
  state: deploymentState,
  cause: z.enum(['push', 'redeploy', 'rollback', 'configuration', 'retry', 'first']),
  branch: z.string(),
  commit: z.object({
    sha: z.string(),
    message: text,
    author: text,
    committed_at: time.nullable(),
  }),
  repeats_deployment_id: text,
  superseded_by_id: text,
  rebuild: z.boolean(),
  attempt: z.number().int(),
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  created_at: time,
  started_at: time.nullable(),
  ended_at: time.nullable(),
})

/** A state that it was in, since when and for how long; `duration_ms` is null for the one it is in. */
const phase = z.object({
  state: deploymentState,
  entered_at: time,
  duration_ms: z.number().nullable(),
})

/** Why it exists, or why a commit was not deployed. */
export const decision = z.object({
  head: z.string(),
  previous_head: text,
  decision: z.enum(['deploy', 'skip']),
  reason: z.string(),
  trigger: z.enum(['push', 'boot', 'timer', 'person']),
  created_at: time,
})

const release = z.object({
  id: z.string(),
  fingerprint: z.string(),
  state: z.enum(['building', 'ready', 'removed']),
  size_bytes: z.number().nullable(),
  plan: z.unknown().meta({ description: 'What was done to build it' }),
  created_at: time,
})

export const deployment = z.object({
  ...deploymentSummary.shape,
  ended: z.boolean(),
  cancel_requested_at: time.nullable(),
  phases: z.array(phase),
  decision: decision.nullable(),
  release: release.nullable(),
})

export const redeployBody = z.strictObject({
  rebuild: z
    .boolean()
    .default(false)
    .meta({ description: 'Build again even though the same was built before' }),
})

export const rollbackBody = z.strictObject({
  deployment_id: z.string().max(100).nullish(),
  number: z.number().int().min(1).nullish(),
})

/** A deployment that was asked for. */
export const requested = z.object({ deployment_id: z.string(), number: z.number().int() })

/** What looking at the branch found. */
export const reconciliation = z.object({
  outcome: z
    .string()
    .meta({ description: 'deploy, skip, unchanged, or why the branch could not be read' }),
  reason: text,
  head: text,
  deployment_id: text,
})

/** One line of a deployment's log, as an event's data. */
export const logLine = z.object({
  stream: z.enum(['platform', 'output']),
  text: z.string(),
  logged_at: time,
})
