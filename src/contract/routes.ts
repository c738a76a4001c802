import { auditRoutes } from './audit-routes.ts'
import { authRoutes } from './auth-routes.ts'
import { clerkRoutes } from './clerk-routes.ts'
import { deliveryRoutes } from './delivery-routes.ts'
import { deploymentRoutes } from './deployment-routes.ts'
import { githubRepositoryRoutes } from './github-repository-routes.ts'
import { githubRoutes } from './github-routes.ts'
import { identityRoutes } from './identity-routes.ts'
import { instanceRoutes } from './instance-routes.ts'
import { organizationRoutes } from './organization-routes.ts'
import { pageRoutes } from './page-routes.ts'
import { projectRoutes } from './project-routes.ts'
import { tokenRoutes } from './token-routes.ts'

/** Every endpoint of the HTTP API by its id. */
export const ROUTES = {
  ...projectRoutes,
  ...deploymentRoutes,
  ...deliveryRoutes,
  ...githubRoutes,
  ...githubRepositoryRoutes,
  ...tokenRoutes,
  ...organizationRoutes,
  ...authRoutes,
  ...identityRoutes,
  ...clerkRoutes,
  ...auditRoutes,
  ...instanceRoutes,
  ...pageRoutes,
} as const

export type Routes = typeof ROUTES
export type RouteId = keyof Routes
