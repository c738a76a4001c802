import { z } from 'zod'

import { pageQuery, time } from './common.ts'

const state = z.enum(['received', 'processed', 'ignored', 'failed'])

export const deliveryQuery = pageQuery.extend({
  state: state.optional(),
  project_id: z.string().max(100).optional(),
})

/** What a delivery meant for one project. */
const outcome = z.object({
  project_id: z.string(),
  outcome: z.string(),
  reason: z.string().nullable(),
  head: z.string().nullable().meta({ description: 'The commit that the branch really had' }),
  deployment_id: z.string().nullable(),
  created_at: time,
})

/** What a Git host told us. */
export const delivery = z.object({
  id: z.string(),
  provider: z.string(),
  hook_id: z.string(),
  delivery_id: z.string().meta({ description: "The host's name for it" }),
  event: z.string(),
  action: z.string().nullable(),
  state,
  reason: z.string().nullable().meta({ description: 'Why it was ignored' }),
  error_message: z.string().nullable(),
  attempts: z.number().int(),
  next_attempt_at: time.nullable(),
  installation_id: z.number().int().nullable(),
  repo_id: z.number().int().nullable(),
  ref: z.string().nullable(),
  before: z.string().nullable(),
  after: z.string().nullable(),
  guid_conflict: z
    .boolean()
    .meta({ description: 'An earlier delivery had this id and another body' }),
  status_code: z.number().int().nullable().meta({ description: 'What the host was answered' }),
  body_hash: z.string().meta({ description: 'SHA-256 in hex' }),
  body_bytes: z.number().int(),
  received_at: time,
  processed_at: time.nullable(),
  outcomes: z.array(outcome),
})

const step = z.object({
  step: z.enum(['received', 'verified', 'matched', 'decided', 'deployment', 'ignored', 'failed']),
  at: time,
  project_id: z.string().nullable(),
  deployment_id: z.string().nullable(),
  message: z.string(),
})

export const deliveryDetails = delivery.extend({ timeline: z.array(step) })
