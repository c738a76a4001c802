import { accountHandlers } from './account-handlers.ts'
import { auditHandlers } from './audit-handlers.ts'
import { authHandlers } from './auth-handlers.ts'
import { clerkHandlers } from './clerk-handlers.ts'
import { createApi, type Api } from './create-api.ts'
import { deliveryHandlers } from './delivery-handlers.ts'
import { deploymentHandlers } from './deployment-handlers.ts'
import { githubHandlers } from './github-handlers.ts'
import { githubRepositoryHandlers } from './github-repository-handlers.ts'
import type { HttpApp } from './http-app.ts'
import { identityHandlers } from './identity-handlers.ts'
import { instanceHandlers } from './instance-handlers.ts'
import { invitationHandlers } from './invitation-handlers.ts'
import { meHandler } from './me-handler.ts'
import { memberHandlers } from './member-handlers.ts'
import { organizationHandlers } from './organization-handlers.ts'
import { pageHandlers } from './pages/page-handlers.ts'
import { projectHandlers } from './project-handlers.ts'
import { projectSettingsHandlers } from './project-settings-handlers.ts'
import { createRequestMetrics } from './request-metrics.ts'
import { tokenHandlers } from './token-handlers.ts'

/** The whole API over the rooms of `app`. Streams end and waiting requests fail when `stopping` aborts. */
export function buildApi(app: HttpApp, stopping: AbortSignal): Api {
  const metrics = createRequestMetrics()
  const api = createApi(
    { ...app, metrics, stopping },
    {
      ...projectHandlers(app),
      ...projectSettingsHandlers(app),
      ...deploymentHandlers(app),
      ...deliveryHandlers(app),
      ...githubHandlers(app),
      ...githubRepositoryHandlers(app),
      ...tokenHandlers(app),
      ...meHandler(app),
      ...organizationHandlers(app),
      ...memberHandlers(app),
      ...invitationHandlers(app),
      ...pageHandlers(app),
      ...authHandlers(app),
      ...accountHandlers(app),
      ...identityHandlers(app),
      ...clerkHandlers(app),
      ...auditHandlers(app),
      ...instanceHandlers(app, { metrics, openApiDocument: () => openApiDocument(api, app) }),
    },
  )
  api.openAPIRegistry.registerComponent('securitySchemes', 'token', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API token, nsk_…, or a session of Clerk',
  })
  api.openAPIRegistry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: app.signIn.cookies.name,
    description: 'The session of a browser; what changes something needs an Origin too',
  })
  return api
}

function openApiDocument(api: Api, app: HttpApp): Record<string, unknown> {
  const document = api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: { title: 'NanoScale', version: app.instance.version },
    servers: [{ url: app.config.publicBaseUrl }],
  })
  return { ...document }
}
