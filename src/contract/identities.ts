import { z } from 'zod'

import { time } from './common.ts'

/** Only a path of this site is kept; anything else becomes the home page. */
const returnTo = z
  .string()
  .max(2000)
  .optional()
  .meta({ description: 'Path of this site to go to afterwards' })

export const startOidcBody = z.strictObject({
  return_to: returnTo,
  invitation_token: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({ description: 'Of an invitation that is accepted by signing in' }),
})

export const linkOidcBody = z.strictObject({ return_to: returnTo })

export const oidcStart = z.object({
  url: z.string().meta({ description: 'Where the browser goes to sign in' }),
})

/** Whatever comes is answered with a redirection, so nothing of it is refused here. */
const sent = z.string().max(4096).optional().catch(undefined).meta({ type: 'string' })

export const oidcCallbackQuery = z.object({ code: sent, state: sent, iss: sent, error: sent })

export const providers = z.object({
  password: z.boolean(),
  oidc: z.object({ name: z.string().meta({ description: 'As in "Sign in with …"' }) }).nullable(),
})

export const identity = z.object({
  id: z.string(),
  name: z.string().meta({ description: 'Of the provider, where it is the one in use' }),
  issuer: z.string(),
  subject: z.string().meta({ description: 'Who one is at the issuer' }),
  usable: z.boolean().meta({ description: 'False when this provider is not configured any more' }),
  linked_at: time,
})

export const identities = z.object({ items: z.array(identity) })
