import { idParams, pageOf } from './common.ts'
import type { RouteDefinition } from './route.ts'
import { createdToken, createTokenBody, me, token, tokensQuery } from './tokens.ts'

export const tokenRoutes = {
  'tokens.list': {
    method: 'GET',
    path: '/api/tokens',
    summary: 'List API tokens, without the tokens',
    query: tokensQuery,
    response: pageOf(token),
    status: 200,
    errors: [],
  },
  'tokens.create': {
    method: 'POST',
    path: '/api/tokens',
    summary: 'Create an API token; it is shown in this answer alone',
    body: createTokenBody,
    response: createdToken,
    status: 201,
    errors: [409],
  },
  'tokens.revoke': {
    method: 'DELETE',
    path: '/api/tokens/{id}',
    summary: 'Revoke an API token at once',
    params: idParams,
    response: 'empty',
    status: 204,
    errors: [404],
  },
  me: {
    method: 'GET',
    path: '/api/me',
    summary: 'Who asks, and for which organization',
    response: me,
    status: 200,
    errors: [],
  },
} as const satisfies Record<string, RouteDefinition>
