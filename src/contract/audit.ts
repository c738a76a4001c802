import { z } from 'zod'

import { pageQuery, time } from './common.ts'

const filters = {
  action: z.string().max(100).optional().meta({ description: 'Such as `member.removed`' }),
  actor_id: z.string().max(100).optional(),
  target_id: z.string().max(300).optional(),
  outcome: z.enum(['done', 'refused', 'failed']).optional(),
  since: z.iso
    .datetime({ offset: true })
    .optional()
    .meta({ description: 'From this time on, as 2026-01-31T12:00:00Z' }),
  until: z.iso.datetime({ offset: true }).optional().meta({ description: 'Before this time' }),
}

export const auditQuery = pageQuery.extend(filters)
export const auditExportQuery = z.object(filters)

/** One thing that somebody did or tried. */
export const auditEvent = z.object({
  id: z.string(),
  occurred_at: time,
  action: z.string(),
  outcome: z.enum(['done', 'refused', 'failed']),
  organization_id: z.string().nullable().meta({ description: 'Null: about the instance' }),
  actor: z.object({
    kind: z.enum(['operator', 'user', 'token', 'provider', 'system', 'anonymous']),
    id: z.string().nullable(),
    name: z.string().nullable().meta({ description: 'As it was at that time' }),
  }),
  address: z.string().nullable(),
  request_id: z.string().nullable(),
  target: z.object({ kind: z.string(), id: z.string(), name: z.string().nullable() }).nullable(),
  details: z.record(z.string(), z.unknown()),
  sequence: z
    .number()
    .int()
    .nullable()
    .optional()
    .meta({ description: 'Its place in the chain; for the operator alone' }),
  mac: z.string().nullable().optional().meta({ description: 'Its seal; for the operator alone' }),
})

export const auditVerifyQuery = z.object({
  anchor: z
    .string()
    .max(200)
    .optional()
    .meta({ description: 'SEQ:MAC, a head that the log told earlier' }),
})
