import { idParams, pageOf } from './common.ts'
import { delivery, deliveryDetails, deliveryQuery } from './deliveries.ts'
import type { RouteDefinition } from './route.ts'

export const deliveryRoutes = {
  'deliveries.list': {
    method: 'GET',
    path: '/api/deliveries',
    summary: 'What Git hosts delivered, newest first',
    query: deliveryQuery,
    response: pageOf(delivery),
    status: 200,
    errors: [],
  },
  'deliveries.read': {
    method: 'GET',
    path: '/api/deliveries/{id}',
    summary: 'A delivery with all that came of it',
    params: idParams,
    response: deliveryDetails,
    status: 200,
    errors: [404],
  },
  'deliveries.replay': {
    method: 'POST',
    path: '/api/deliveries/{id}/replay',
    summary: 'Work on a delivery again; projects only look at their branches',
    params: idParams,
    response: deliveryDetails,
    status: 202,
    errors: [404, 503],
  },
} as const satisfies Record<string, RouteDefinition>
