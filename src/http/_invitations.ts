/** Scenes of tests in which people are invited. */
import assert from 'node:assert/strict'

import { errorBody } from '../contract/common.ts'
import { organizationRoutes } from '../contract/organization-routes.ts'
import type { Database } from '../database/database.ts'
import { createSignIn } from '../identity/sign-in/create-sign-in.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { PUBLIC_URL, testApp, type TestApp } from './_test-app.ts'
import type { HttpApp } from './http-app.ts'

export const INVITATIONS = '/api/organizations/org-default/invitations'
export const DAY_MS = 86_400_000
export const PASSWORD = 'correct horse battery'

/** The error that a response of this status is. */
export async function refusal(response: Response, status: number) {
  assert.equal(response.status, status, await response.clone().text())
  return errorBody.parse(await response.json())
}

/** Invites somebody to the first organization, as the operator. */
export async function invite(test: TestApp, body: object) {
  const response = await test.request('POST', INVITATIONS, { body })
  assert.equal(response.status, 201, await response.clone().text())
  const made = organizationRoutes['invitations.create'].response.parse(await response.json())
  return { ...made, token: made.url?.split('#token=')[1] ?? '' }
}

/** An API with the real sign-in library, and a clock that can be set forward. */
export async function appWithSignIn(db: Database, overrides: Partial<HttpApp> = {}) {
  let ahead = 0
  const clock = { ...systemClock, now: () => systemClock.now() + ahead }
  const signIn = await createSignIn({
    db,
    clock,
    newId,
    keyring: createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(7) }]),
    log: silentLogger,
    config: { publicBaseUrl: PUBLIC_URL, sessionDays: 30 },
  })
  const test = testApp(db, { clock, signIn, ...overrides })
  const accept = (body: object, headers: Record<string, string> = {}) =>
    test.request('POST', '/api/invitations/accept', {
      token: null,
      body,
      headers: { origin: PUBLIC_URL, ...headers },
    })
  const read = (token: string) =>
    test.request('POST', '/api/invitations/read', {
      token: null,
      body: { token },
      headers: { origin: PUBLIC_URL },
    })
  const pass = (ms: number) => {
    ahead += ms
  }
  return { test, accept, read, pass, [Symbol.dispose]: () => test[Symbol.dispose]() }
}
