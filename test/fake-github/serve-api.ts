import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

import type { Actor } from './access.ts'
import { ApiError, json, notFound, toErrorAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import { appRoutes } from './api/app-routes.ts'
import { deploymentRoutes } from './api/deployment-routes.ts'
import { hookRoutes } from './api/hook-routes.ts'
import { installationRoutes } from './api/installation-routes.ts'
import { oauthRoutes } from './api/oauth-routes.ts'
import { repositoryRoutes } from './api/repository-routes.ts'
import { statusRoutes } from './api/status-routes.ts'
import { authenticate } from './authenticate.ts'
import type { RequestFault } from './faults.ts'
import { fullName } from './github.ts'
import type { Github } from './github.ts'
import {
  countRequest,
  giveBack,
  readWindow,
  toRateHeaders,
  toRateKey,
  toRateLimitError,
  toRateLimitJson,
} from './rate-limits.ts'
import { createRouter, toRoutes } from './router.ts'

const metaRoutes = toRoutes({
  'GET /rate_limit': (github, { actor }) => json(toRateLimitJson(readWindow(github, actor))),
  'GET /meta': () => {
    return json({ verifiable_password_authentication: true, hooks: ['127.0.0.0/8', '::1/128'] })
  },
})

/** The first that matches answers: what is longer stands before what it begins with. */
const find = createRouter([
  ...metaRoutes,
  ...appRoutes,
  ...installationRoutes,
  ...oauthRoutes,
  ...statusRoutes,
  ...deploymentRoutes,
  ...hookRoutes,
  ...repositoryRoutes,
])

export interface ApiRequest {
  request: IncomingMessage
  /** Below the API's prefix. */
  path: string
  query: URLSearchParams
  body: Readonly<Record<string, unknown>>
  fault: RequestFault | null
}

/** Answers one request to the API, with the headers that every answer of GitHub's has. */
export async function serveApi(github: Github, asked: ApiRequest): Promise<Answer> {
  const { request, fault } = asked
  let actor: Actor = { kind: 'anonymous' }
  let answer: Answer
  let isCounted = false
  try {
    if ((request.headers['user-agent'] ?? '') === '') throw withoutUserAgent()
    actor = authenticate(github, request.headers.authorization)
    if (fault?.kind === 'primary-rate-limit' || fault?.kind === 'secondary-rate-limit') {
      throw toRateLimitError(github, actor, fault)
    }
    if (asked.path !== '/rate_limit') {
      countRequest(github, actor)
      isCounted = true
    }
    answer = await route(github, asked, actor)
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    answer = toErrorAnswer(error)
  }
  const tagged = withValidator(request, answer, toRateKey(actor))
  if (tagged.status === 304 && isCounted && actor.kind !== 'anonymous') giveBack(github, actor)
  return {
    ...tagged,
    headers: {
      ...toRateHeaders(readWindow(github, actor)),
      'x-github-request-id': randomUUID().slice(0, 23).toUpperCase(),
      'x-github-media-type': 'github.v3; format=json',
      'x-github-api-version-selected': String(
        request.headers['x-github-api-version'] ?? '2022-11-28',
      ),
      ...(actor.kind === 'user' && actor.app === null
        ? { 'x-oauth-scopes': actor.token.scopes.join(', ') }
        : {}),
      ...tagged.headers,
    },
  }
}

async function route(github: Github, asked: ApiRequest, actor: Actor): Promise<Answer> {
  const { request, query, body } = asked
  const { method = 'GET', url = '/' } = request
  const line = `${method} ${url}`
  const path = toNamedPath(github, asked.path)
  const match = find(method, path)
  if (match === null) throw notFound()
  const { handler, params } = match
  return await handler(github, {
    line,
    method,
    path,
    params,
    query,
    headers: request.headers,
    body,
    actor,
  })
}

/** `/repositories/{id}/…`: where a moved repository's redirects lead. */
function toNamedPath(github: Github, path: string): string {
  const found = /^\/repositories\/(\d+)(\/.*)?$/.exec(path)
  if (found === null) return path
  const repository = github.state.repositories.get(Number(found[1]))
  if (repository === undefined) throw notFound()
  return `/repos/${fullName(github, repository)}${found[2] ?? ''}`
}

function withoutUserAgent(): ApiError {
  const message =
    'Request forbidden by administrative rules. Please make sure your request has a User-Agent header'
  return new ApiError(403, message)
}

/** An answer to a read has an ETag, which depends on who asks; whoever has that version gets a 304. */
function withValidator(request: IncomingMessage, answer: Answer, key: string): Answer {
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  if (!isRead || answer.status !== 200 || answer.body === undefined) return answer
  const { body } = answer
  const text = 'text' in body ? body.text : JSON.stringify(body.json)
  const hash = createHash('sha256').update(`${key}\n${answer.headers?.['link'] ?? ''}\n${text}`)
  const etag = `W/"${hash.digest('hex')}"`
  const headers = {
    ...answer.headers,
    etag,
    'cache-control': 'private, max-age=60, s-maxage=60',
    vary: 'Accept, Authorization, Cookie, X-GitHub-OTP',
  }
  const known = (request.headers['if-none-match'] ?? '').split(/\s*,\s*/)
  const isKnown = known.some((tag) => tag.replace(/^W\//, '') === etag.slice(2))
  return isKnown ? { status: 304, headers } : { ...answer, headers }
}
