import { auditEvent, auditExportQuery, auditQuery, auditVerifyQuery } from './audit.ts'
import { pageOf } from './common.ts'
import type { RouteDefinition } from './route.ts'

export const auditRoutes = {
  'audit.list': {
    method: 'GET',
    path: '/api/audit',
    summary: 'Who did what in the organization, newest first',
    query: auditQuery,
    response: pageOf(auditEvent),
    status: 200,
    errors: [],
  },
  'audit.export': {
    method: 'GET',
    path: '/api/audit/export',
    summary: 'The audit as one event per line (NDJSON), oldest first',
    query: auditExportQuery,
    response: 'lines',
    status: 200,
    errors: [],
  },
  'audit.verify': {
    method: 'POST',
    path: '/api/audit/verify',
    summary: 'Prove that nothing of the audit was changed, removed or cut off; events report',
    query: auditVerifyQuery,
    response: 'events',
    status: 200,
    errors: [],
  },
} as const satisfies Record<string, RouteDefinition>
