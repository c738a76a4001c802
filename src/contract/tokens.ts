import { z } from 'zod'

import { pageQuery, time } from './common.ts'
import { role } from './organizations.ts'
import { SCOPES, type Scope } from './permissions.ts'

const scope = z.enum(['*', ...(Object.keys(SCOPES) as Scope[])]).meta({
  description: 'What the token may, as far as its maker may; * is all of that',
})

export const createTokenBody = z.strictObject({
  name: z.string().trim().min(1).max(100),
  expires_in_days: z
    .number()
    .int()
    .min(1)
    .max(3650)
    .nullish()
    .meta({ description: 'Left out: it never expires, or when the token that makes it does' }),
  scopes: z.array(scope).min(1).max(20).optional(),
})

export const tokensQuery = z.object({
  ...pageQuery.shape,
  mine: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Only own ones; others are shown to owners alone' }),
})

export const token = z.object({
  id: z.string(),
  name: z.string(),
  hint: z.string().meta({ description: 'Its last four characters' }),
  scopes: z.array(z.string()),
  created_by: z
    .object({ id: z.string(), name: z.string() })
    .nullable()
    .meta({ description: 'Null: the operator' }),
  created_at: time,
  expires_at: time.nullable(),
  last_used_at: time.nullable(),
  revoked_at: time.nullable(),
})

/** The only answer that has the token itself. */
export const createdToken = z.object({ ...token.shape, token: z.string() })

const namedOrganization = z.object({ id: z.string(), slug: z.string(), name: z.string() })

export const me = z.object({
  kind: z.enum(['operator', 'user', 'token']),
  user: z
    .object({
      id: z.string(),
      name: z.string(),
      email: z.string().nullable(),
      two_factor_enabled: z.boolean(),
    })
    .nullable()
    .meta({ description: 'Who signed in, or who made the token' }),
  organization: namedOrganization
    .nullable()
    .meta({ description: 'In which the asker acts; null for who belongs to none' }),
  role: role.nullable(),
  scopes: z.array(z.string()).nullable().meta({ description: 'Of a token' }),
  permissions: z
    .array(z.string())
    .meta({ description: 'Operations of this API that the asker may call now' }),
  organizations: z.array(z.object({ ...namedOrganization.shape, role })),
  token: z.object({ id: z.string(), name: z.string() }).nullable(),
})
