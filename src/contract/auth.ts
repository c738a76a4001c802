import { z } from 'zod'

import { time } from './common.ts'

/** A database may refuse some of the control characters, and nobody can see them. */
export const line = z
  .string()
  .trim()
  .regex(/^\P{Cc}*$/u, 'no control characters')
const email = line.min(3).max(254)
/** As it was typed: passwords are neither trimmed nor changed. */
const password = z.string().min(1).max(128)
export const newPassword = z
  .string()
  .min(10, 'at least 10 characters')
  .max(128, 'at most 128 characters')
export const personName = line.min(1).max(100)
const totpCode = z.string().regex(/^\d{6}$/, 'six digits')
const backupCode = z.string().trim().min(1).max(40)
const token = z.string().min(1).max(200)

export const signInBody = z.strictObject({ email, password })
export const emailBody = z.strictObject({ email })
export const resetPasswordBody = z.strictObject({ token, newPassword })
export const changePasswordBody = z.strictObject({
  currentPassword: password,
  newPassword,
  revokeOtherSessions: z
    .literal(true)
    .optional()
    .meta({ description: 'They are ended in any case' }),
})
export const passwordBody = z.strictObject({ password })
export const totpBody = z.strictObject({ code: totpCode })
export const backupCodeBody = z.strictObject({ code: backupCode })

const user = z.object({ id: z.string(), email: z.string(), name: z.string() })

export const signedIn = z.object({ user })

export const signInAnswer = z.object({
  user: user.optional().meta({ description: 'Who is signed in now' }),
  twoFactorRedirect: z
    .literal(true)
    .optional()
    .meta({ description: 'Instead: a code of the second factor is to be sent' }),
  twoFactorMethods: z.array(z.string()).optional(),
})

export const authSession = z
  .object({ user: z.object({ ...user.shape, twoFactorEnabled: z.boolean() }) })
  .nullable()
  .meta({ description: 'Null: nobody is signed in' })

export const done = z.object({ status: z.literal(true) })
export const enabledTwoFactor = z.object({
  totpURI: z.string().meta({ description: 'For the authenticator app' }),
  backupCodes: z.array(z.string()).meta({ description: 'Each works once instead of a code' }),
})
export const backupCodes = z.object({ backupCodes: z.array(z.string()) })

export const session = z.object({
  id: z.string(),
  current: z.boolean().meta({ description: 'The one that asks' }),
  created_at: time,
  updated_at: time.meta({ description: 'When it was last renewed' }),
  expires_at: time,
  ip_address: z.string().nullable(),
  user_agent: z.string().nullable(),
})
export const sessions = z.object({ items: z.array(session) })
export const endedSessions = z.object({ ended: z.number().int() })

export const updateMeBody = z.strictObject({ name: personName })

export const setupState = z.object({ needed: z.boolean() })
export const setupBody = z.strictObject({
  token: token.meta({ description: 'Of the setup link' }),
  name: personName,
  email,
  password: newPassword,
  organization_name: line.min(1).max(100),
})
export const setupLink = z.object({
  url: z.string().nullable().meta({ description: 'Null: NanoScale is set up' }),
})
