import { createHash } from 'node:crypto'

import { json, noContent, notFound } from '../answer.ts'
import { entry, now, toTime } from '../github.ts'
import type { Github } from '../github.ts'
import { revokeAuthorization } from '../installations.ts'
import { toAccountJson } from '../json/account-json.ts'
import { readText, toRoutes } from '../router.ts'
import type { Call } from '../router.ts'
import type { Schemas, UserToken } from '../state.ts'
import { revokeUserToken } from '../tokens.ts'
import { requireClient } from './require.ts'

/** What an App does with the tokens of people, by its client id and secret. */
export const oauthRoutes = toRoutes({
  'POST /applications/:client_id/token': (github, call) => {
    const app = requireClient(call)
    const token = findToken(github, call, app.id)
    const hashed = createHash('sha256').update(token.token).digest('hex')
    const created = toTime(token.createdAt)
    const authorization: Schemas['authorization'] = {
      id: token.createdAt,
      url: `${github.apiUrl}/authorizations/${token.createdAt}`,
      app: { client_id: app.clientId, name: app.name, url: app.url },
      token: token.token,
      hashed_token: hashed,
      token_last_eight: token.token.slice(-8),
      note: null,
      note_url: null,
      created_at: created,
      updated_at: created,
      scopes: [...token.scopes],
      fingerprint: null,
      expires_at: token.expiresAt === null ? null : toTime(token.expiresAt),
      user: toAccountJson(github, entry(github.state.accounts, token.userId)),
    }
    return json(authorization)
  },
  'DELETE /applications/:client_id/token': (github, call) => {
    const app = requireClient(call)
    revokeUserToken(github, findToken(github, call, app.id).token)
    return noContent()
  },
  'DELETE /applications/:client_id/grant': (github, call) => {
    const app = requireClient(call)
    const { userId } = findToken(github, call, app.id)
    revokeAuthorization(github, app, entry(github.state.accounts, userId))
    return noContent()
  },
})

function findToken(github: Github, call: Call, appId: number): UserToken {
  const token = github.state.userTokens.get(readText(call.body, 'access_token') ?? '')
  if (token === undefined || token.appId !== appId) throw notFound()
  if (token.expiresAt !== null && token.expiresAt <= now(github)) throw notFound()
  return token
}
