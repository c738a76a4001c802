import type { Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'

export function clerkHandlers({
  clerkWebhook,
}: Pick<HttpApp, 'clerkWebhook'>): Pick<Handlers, 'clerk.webhook'> {
  return {
    'clerk.webhook': ({ body }, { headers, address, requestId }) =>
      clerkWebhook.receive({ rawBody: body, headers, address, requestId }),
  }
}
