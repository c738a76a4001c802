import { idParams } from './common.ts'
import {
  identities,
  linkOidcBody,
  oidcCallbackQuery,
  oidcStart,
  providers,
  startOidcBody,
} from './identities.ts'
import type { RouteDefinition } from './route.ts'

export const identityRoutes = {
  'auth.providers': {
    method: 'GET',
    path: '/api/auth/providers',
    summary: 'The ways to sign in',
    response: providers,
    status: 200,
    errors: [],
  },
  'oidc.start': {
    method: 'POST',
    path: '/api/auth/sign-in/oidc',
    summary: 'Begin to sign in at the identity provider; binds it to this browser by a cookie',
    body: startOidcBody,
    response: oidcStart,
    status: 200,
    errors: [404, 409, 503],
  },
  'oidc.link': {
    method: 'POST',
    path: '/api/auth/oidc/link',
    summary: 'Begin to link an identity to oneself, as a further way to sign in',
    body: linkOidcBody,
    response: oidcStart,
    status: 200,
    errors: [403, 404, 503],
  },
  'oidc.callback': {
    method: 'GET',
    path: '/api/auth/callback/oidc',
    summary: 'Where the identity provider sends the browser back to; answers with a redirection',
    query: oidcCallbackQuery,
    response: 'empty',
    status: 303,
    errors: [404],
  },
  'identities.list': {
    method: 'GET',
    path: '/api/me/identities',
    summary: 'List the identities that one can sign in with',
    response: identities,
    status: 200,
    errors: [],
  },
  'identities.unlink': {
    method: 'DELETE',
    path: '/api/me/identities/{id}',
    summary: 'Unlink an identity; the last way to sign in stays',
    params: idParams,
    response: 'empty',
    status: 204,
    errors: [404, 409],
  },
} as const satisfies Record<string, RouteDefinition>
