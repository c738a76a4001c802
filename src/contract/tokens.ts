import { z } from 'zod'

import { time } from './common.ts'

export const createTokenBody = z.strictObject({
  name: z.string().trim().min(1).max(100),
  expires_in_days: z.number().int().min(1).max(3650).nullish(),
})

export const token = z.object({
  id: z.string(),
  name: z.string(),
  hint: z.string().meta({ description: 'Its last four characters' }),
  created_at: time,
  expires_at: time.nullable(),
  last_used_at: time.nullable(),
  revoked_at: time.nullable(),
})

/** The only answer that has the token itself. */
export const createdToken = z.object({ ...token.shape, token: z.string() })

export const me = z.object({
  kind: z.enum(['operator', 'user', 'token']),
  organization: z.object({ id: z.string(), slug: z.string(), name: z.string() }),
  token: z.object({ id: z.string(), name: z.string() }).nullable(),
})
