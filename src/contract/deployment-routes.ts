import { idParams, logQuery, pageOf, pageQuery } from './common.ts'
import { deployment, deploymentSummary } from './deployments.ts'
import type { RouteDefinition } from './route.ts'

export const deploymentRoutes = {
  'deployments.list': {
    method: 'GET',
    path: '/api/projects/{id}/deployments',
    summary: 'List deployments of a project, newest first',
    params: idParams,
    query: pageQuery,
    response: pageOf(deploymentSummary),
    status: 200,
    errors: [404],
  },
  'deployments.read': {
    method: 'GET',
    path: '/api/deployments/{id}',
    summary: 'Read a deployment with its phases, its decision and its release',
    params: idParams,
    response: deployment,
    status: 200,
    errors: [404],
  },
  'deployments.logs': {
    method: 'GET',
    path: '/api/deployments/{id}/logs',
    summary: 'Its log: events resumable by Last-Event-ID that close with `end`, or text',
    params: idParams,
    query: logQuery,
    response: 'events',
    status: 200,
    errors: [404],
  },
  'deployments.cancel': {
    method: 'POST',
    path: '/api/deployments/{id}/cancel',
    summary: 'Cancel a deployment that has not ended',
    params: idParams,
    response: 'empty',
    status: 202,
    errors: [404, 409],
  },
} as const satisfies Record<string, RouteDefinition>
