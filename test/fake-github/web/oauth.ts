import { ApiError, json, redirect } from '../answer.ts'
import type { Answer } from '../answer.ts'
import { entry, findAccount, now } from '../github.ts'
import type { Github } from '../github.ts'
import { readText } from '../router.ts'
import type { Call } from '../router.ts'
import type { Account, App } from '../state.ts'
import {
  createUserToken,
  randomHex,
  REFRESH_TOKEN_SECONDS,
  revokeUserToken,
  toChallenge,
  USER_TOKEN_SECONDS,
} from '../tokens.ts'
import { escape, toForm, toPage, toPeopleChoice, withQuery } from './pages.ts'

const CODE_MS = 600_000

/** What an App asks a person, as its parameters say. */
interface Question {
  app: App
  redirectUri: string
  state: string | null
  challenge: string | null
}

/** `GET /login/oauth/authorize`: the page that asks, or what the automatic person says. */
export function showAuthorization(github: Github, call: Call): Answer {
  const question = readQuestion(github, (name) => call.query.get(name))
  if ('status' in question) return question
  const { automatic } = github
  if (automatic !== null) {
    return decide(github, question, automatic.login, automatic.decision === 'authorize')
  }
  const hidden = Object.fromEntries(call.query)
  const { name, permissions } = question.app
  const wanted = Object.entries(permissions).map(([key, level]) => `<li>${escape(key)}: ${level}`)
  const content = `<p>${escape(name)} wants to know who you are, and to act for you with</p>
<ul>${wanted.join('')}</ul>${toPeopleChoice(github)}<p>
<button name="decision" value="authorize">Authorize ${escape(name)}</button>
<button name="decision" value="deny">Cancel</button></p>`
  return toPage(`Authorize ${name}`, toForm('/login/oauth/authorize', hidden, content))
}

/** `POST /login/oauth/authorize`: what the person said on the page. */
export function answerAuthorization(github: Github, call: Call): Answer {
  const question = readQuestion(github, (name) => readText(call.body, name))
  if ('status' in question) return question
  const login = readText(call.body, 'login') ?? ''
  return decide(github, question, login, readText(call.body, 'decision') === 'authorize')
}

function readQuestion(github: Github, read: (name: string) => string | null): Question | Answer {
  const clientId = read('client_id') ?? ''
  const app = [...github.state.apps.values()].find((app) => app.clientId === clientId)
  const callback = app?.callbackUrls[0]
  if (app === undefined || callback === undefined) throw new ApiError(404, 'Not Found')
  const redirectUri = read('redirect_uri') ?? callback
  const state = read('state')
  const refuse = (error: string, description: string) => {
    return redirect(withQuery(callback, { error, error_description: description, state }))
  }
  if (!app.callbackUrls.includes(redirectUri)) {
    return refuse(
      'redirect_uri_mismatch',
      'The redirect_uri MUST match the registered callback URL for this application.',
    )
  }
  const challenge = read('code_challenge')
  if (challenge !== null && read('code_challenge_method') !== 'S256') {
    return refuse('invalid_request', 'The code_challenge_method must be S256.')
  }
  return { app, redirectUri, state, challenge }
}

function decide(github: Github, question: Question, login: string, isAllowed: boolean): Answer {
  const { redirectUri, state } = question
  const user = findAccount(github, login)
  if (user === null || user.type !== 'User') throw new ApiError(404, 'Not Found')
  if (isAllowed)
    return redirect(withQuery(redirectUri, { code: grant(github, question, user), state }))
  const description = 'The user has denied your application access.'
  return redirect(
    withQuery(redirectUri, { error: 'access_denied', error_description: description, state }),
  )
}

/** A code for what somebody allowed. */
export function grant(
  github: Github,
  { app, redirectUri, challenge }: Omit<Question, 'state'>,
  user: Account,
): string {
  const code = randomHex(20)
  github.state.authorizations.add(`${app.id}:${user.id}`)
  github.state.codes.set(code, {
    appId: app.id,
    userId: user.id,
    redirectUri,
    challenge,
    createdAt: now(github),
  })
  return code
}

/** `POST /login/oauth/access_token`: every outcome is HTTP 200; an error is a field of the body. */
export function exchange(github: Github, call: Call): Answer {
  const fault = github.faults.take('oauth-error', call.line)
  const outcome =
    fault === null
      ? findOutcome(github, call)
      : { error: fault.error, error_description: fault.description ?? 'Injected.' }
  if (String(call.headers['accept']).includes('json')) return json(outcome)
  const pairs = Object.entries(outcome).map(([name, value]) => [name, String(value)])
  const text = new URLSearchParams(pairs).toString()
  return { status: 200, body: { text, type: 'application/x-www-form-urlencoded; charset=utf-8' } }
}

type Outcome = Record<string, string | number>

function toError(error: string, description: string): Outcome {
  return { error, error_description: description }
}

function findOutcome(github: Github, call: Call): Outcome {
  const read = (name: string) => readText(call.body, name) ?? call.query.get(name)
  const app = [...github.state.apps.values()].find(({ clientId }) => clientId === read('client_id'))
  if (app === undefined || !app.clientSecrets.includes(read('client_secret') ?? '')) {
    return toError(
      'incorrect_client_credentials',
      'The client_id and/or client_secret passed are incorrect.',
    )
  }
  if (read('grant_type') === 'refresh_token') return refresh(github, app, read('refresh_token'))
  return redeem(github, app, read)
}

function redeem(github: Github, app: App, read: (name: string) => string | null): Outcome {
  const bad = toError('bad_verification_code', 'The code passed is incorrect or expired.')
  const text = read('code') ?? ''
  const code = github.state.codes.get(text)
  if (code === undefined || code.appId !== app.id) return bad
  // A code is spent by the first attempt, also by a wrong one.
  github.state.codes.delete(text)
  if (code.createdAt + CODE_MS <= now(github)) return bad
  const redirectUri = read('redirect_uri')
  if (redirectUri !== null && redirectUri !== code.redirectUri) {
    return toError(
      'redirect_uri_mismatch',
      'The redirect_uri MUST match the registered callback URL for this application.',
    )
  }
  if (code.challenge !== null) {
    const verifier = read('code_verifier')
    if (verifier === null || toChallenge(verifier) !== code.challenge) return bad
  }
  return issue(github, app, code.userId)
}

/** The old pair ends as soon as the new one exists. */
function refresh(github: Github, app: App, text: string | null): Outcome {
  const token = github.state.refreshTokens.get(text ?? '')
  if (token === undefined || token.appId !== app.id || token.expiresAt <= now(github)) {
    return toError('bad_refresh_token', 'The refresh token passed is incorrect or expired.')
  }
  revokeUserToken(github, token.accessToken)
  github.state.refreshTokens.delete(token.token)
  return issue(github, app, token.userId)
}

function issue(github: Github, app: App, userId: number): Outcome {
  entry(github.state.accounts, userId)
  const { token, refresh } = createUserToken(github, app, userId)
  return {
    access_token: token.token,
    ...(refresh === null
      ? {}
      : {
          expires_in: USER_TOKEN_SECONDS,
          refresh_token: refresh.token,
          refresh_token_expires_in: REFRESH_TOKEN_SECONDS,
        }),
    token_type: 'bearer',
    scope: '',
  }
}
