import { z } from 'zod'

import type { RouteDefinition } from './route.ts'

const received = z.object({
  status: z.enum(['applied', 'stale', 'duplicate', 'ignored']).meta({
    description:
      'applied: it changed something. stale: Clerk has said something newer. duplicate: this message was here before. ' +
      'ignored: it is about something else',
  }),
  reason: z.string().nullable(),
})

export const clerkRoutes = {
  'clerk.webhook': {
    method: 'POST',
    path: '/api/identity/clerk/webhook',
    summary: 'Take a signed message of Clerk about people, organizations or memberships',
    body: 'raw',
    response: received,
    status: 200,
    errors: [400, 401, 404, 413, 503],
  },
} as const satisfies Record<string, RouteDefinition>
