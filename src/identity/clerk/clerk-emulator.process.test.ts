import assert from 'node:assert/strict'
import { it } from 'node:test'

import { createEmulator } from 'emulate'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/logger.ts'
import { applyMessage, clerkDeps, rolesOf, userOf } from './_clerk-state.ts'
import { createClerkSessions } from './verify-clerk-session.ts'

/*
 * npm's `emulate` 0.12.2 as a second opinion on Clerk. It has the Backend API (users, organizations, memberships,
 * sessions and their tokens), a JWKS at `/v1/jwks`, and OpenID Connect. It has no webhooks at all: its dispatcher is
 * given to the Clerk service and never used, and there is no address to register one at. So what it answers
 * about a thing is put into Clerk's envelope here. Neither does it say who made an organization (`created_by`), nor
 * put `azp` into tokens; its times are in seconds where Clerk's are in milliseconds; its tokens have version 1 of the
 * claims only, with the first membership as the active organization.
 */
const SEED = {
  clerk: {
    users: [
      {
        first_name: 'Ada',
        last_name: 'Lovelace',
        email_addresses: ['ada@example.com', 'a@example.com'],
      },
    ],
    organizations: [
      { name: 'Acme', slug: 'acme', members: [{ email: 'ada@example.com', role: 'admin' }] },
    ],
    oauth_applications: [
      { client_id: 'c', client_secret: 's', name: 'App', redirect_uris: ['http://127.0.0.1/back'] },
    ],
  },
}

interface Listed {
  data: Record<string, unknown>[]
}

async function startClerk() {
  const emulator = await createEmulator({ service: 'clerk', port: 0, seed: SEED })
  const ask = async <Answer>(method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`${emulator.url}${path}`, {
      method,
      headers: { authorization: 'Bearer sk_test_admin', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    assert.ok(response.ok, `${method} ${path} ${response.status}`)
    return (await response.json()) as Answer
  }
  return { url: emulator.url, ask, [Symbol.asyncDispose]: () => emulator.close() }
}

type Clerk = Awaited<ReturnType<typeof startClerk>>

const idOf = (thing: Record<string, unknown> | undefined) => String(thing?.['id'])

/** An identity token for another application, by the whole authorization code flow. */
async function fetchIdentityToken(clerk: Clerk, clerkUserId: string): Promise<string> {
  const form = { user_ref: clerkUserId, redirect_uri: 'http://127.0.0.1/back', client_id: 'c' }
  const back = await fetch(`${clerk.url}/oauth/authorize/callback`, {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ ...form, scope: 'openid' }),
  })
  const code = new URL(back.headers.get('location') ?? '').searchParams.get('code') ?? ''
  const answer = await fetch(`${clerk.url}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      client_id: 'c',
      client_secret: 's',
      redirect_uri: form.redirect_uri,
    }),
  })
  return ((await answer.json()) as { id_token: string }).id_token
}

describeOnBothEngines('with the Clerk of emulate', (open) => {
  it('takes its people, organizations and memberships, and its sessions', async () => {
    await using clerk = await startClerk()
    await using database = await open()
    const { db } = database
    const deps = clerkDeps(db)
    let count = 0
    const tell = async (type: string, data: unknown) => {
      count += 1
      const body = { object: 'event', type, timestamp: Date.now(), data }
      assert.equal(await applyMessage(deps, { id: `msg_${count}`, body }), 'applied')
    }
    const users = await clerk.ask<Listed>('GET', '/v1/users?query=ada')
    const organizations = await clerk.ask<Listed>('GET', '/v1/organizations')
    const user = users.data[0]
    const clerkOrgId = idOf(organizations.data[0])
    const path = `/v1/organizations/${clerkOrgId}/memberships`
    const memberships = await clerk.ask<Listed>('GET', path)
    await tell('organizationMembership.created', memberships.data[0])
    await tell('organization.created', organizations.data[0])
    await tell('user.created', user)
    assert.deepEqual(await rolesOf(db), [[idOf(user), 'admin']])
    const stored = await userOf(db, idOf(user))
    assert.deepEqual([stored.name, stored.clerk_primary_email], ['Ada Lovelace', 'ada@example.com'])

    const sessions = createClerkSessions({
      db,
      clock: systemClock,
      log: silentLogger,
      config: {
        clerkIssuer: clerk.url,
        clerkJwksUrl: `${clerk.url}/v1/jwks`,
        clerkJwtKey: null,
        clerkAuthorizedParties: [],
      },
    })
    const session = await clerk.ask<Record<string, unknown>>('POST', '/v1/sessions', {
      user_id: idOf(user),
    })
    const made = `/v1/sessions/${idOf(session)}/tokens`
    const { jwt } = await clerk.ask<{ jwt: string }>('POST', made)
    const { id } = await db
      .selectFrom('organizations')
      .select('id')
      .where('clerk_org_id', '=', clerkOrgId)
      .executeTakeFirstOrThrow()
    const person = await sessions.authenticate(jwt)
    assert.deepEqual([person?.userId, person?.organization], [stored.id, { id }])
    const identityToken = await fetchIdentityToken(clerk, idOf(user))
    assert.match(identityToken, /^eyJ/)
    assert.equal(await sessions.authenticate(identityToken), null)

    const deleted = await clerk.ask<Record<string, unknown>>('DELETE', `/v1/users/${idOf(user)}`)
    await tell('user.deleted', deleted)
    assert.equal(await sessions.authenticate(jwt), null)
    assert.deepEqual(await rolesOf(db), [])
    await tell('organization.deleted', await clerk.ask('DELETE', `/v1/organizations/${clerkOrgId}`))
  })
})
