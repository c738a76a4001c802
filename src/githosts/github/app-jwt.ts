import { createPrivateKey, sign, type KeyObject } from 'node:crypto'

import type { Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { GithubApp } from '../github-host.ts'
import { type Answer, type Asker, messageIn, type Question } from './ask.ts'

/** GitHub refuses what was made in its future, and what lives longer than ten minutes. */
const BACKDATED_S = 60
const LIFETIME_S = 540
/** Less of a difference cannot be why a token is refused. */
const NOTABLE_SKEW_MS = 20_000

export interface AppCaller {
  /** Asks as the App itself. A 401 is given back when no key is accepted. */
  askAsApp(
    app: GithubApp,
    question: Pick<Question, 'method' | 'path' | 'body'>,
    signal: AbortSignal,
  ): Promise<Answer>
}

/**
 * Signs as an App, with the newest key that GitHub accepts. When our clock differs from GitHub's so that it refuses,
 * the difference that its answer shows is allowed for from then on.
 */
export function createAppCaller(deps: { clock: Pick<Clock, 'now'>; asker: Asker }): AppCaller {
  // How far our clock is ahead, by API.
  const skews = new Map<string, number>()
  const askWithKeys: AppCaller['askAsApp'] = async (app, { method, path, body }, signal) => {
    let refused: Answer | null = null
    const limitedBy = `${app.apiUrl} app ${app.appId}`
    const attempt = async (key: KeyObject) => {
      const now = deps.clock.now() - (skews.get(app.apiUrl) ?? 0)
      const authorization = `Bearer ${createJwt(app.clientId, key, now)}`
      const question = { site: app, method, path, authorization, limitedBy }
      return await deps.asker.ask(body === undefined ? question : { ...question, body }, signal)
    }
    for (const pem of app.privateKeys) {
      const key = readKey(app, pem)
      refused = await attempt(key)
      if (refused.status !== 401) return refused
      const { skewMs } = refused
      if (skewMs === null) continue
      const differs = Math.abs(skewMs - (skews.get(app.apiUrl) ?? 0)) > NOTABLE_SKEW_MS
      if (!differs) continue
      skews.set(app.apiUrl, skewMs)
      refused = await attempt(key)
      if (refused.status !== 401) return refused
    }
    if (refused === null) throw unusableKey(app, 'it has no private key')
    return refused
  }
  return {
    askAsApp: async (app, question, signal) => {
      const answer = await askWithKeys(app, question, signal)
      // Else what belongs to the App would seem to be gone.
      if (answer.status === 404 && /integration not found/i.test(messageIn(answer))) {
        throw new OperationError(
          'github.refused',
          `Cannot speak as the App "${app.slug}": GitHub does not know it`,
        )
      }
      return answer
    },
  }
}

function createJwt(clientId: string, key: KeyObject, nowMs: number): string {
  const now = Math.floor(nowMs / 1000)
  const claims = { iat: now - BACKDATED_S, exp: now + LIFETIME_S - BACKDATED_S, iss: clientId }
  const signed = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Reading a key takes longer than signing with it. */
const keys = new WeakMap<Secret, KeyObject>()

function readKey(app: GithubApp, pem: Secret): KeyObject {
  const known = keys.get(pem)
  if (known !== undefined) return known
  try {
    const key = createPrivateKey(pem.reveal())
    if (key.asymmetricKeyType === 'rsa') {
      keys.set(pem, key)
      return key
    }
  } catch {
    // The reason may quote the key.
    throw unusableKey(app, 'its private key cannot be read as PEM')
  }
  throw unusableKey(app, 'its private key is not RSA')
}

function unusableKey(app: GithubApp, reason: string): OperationError {
  return new OperationError(
    'github.unusable_key',
    `Cannot sign as the App "${app.slug}": ${reason}`,
  )
}
