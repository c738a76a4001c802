import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { acme, ada, membership, tell } from '../identity/clerk/_clerk-state.ts'
import {
  createTestKey,
  signSession,
  startKeyServer,
  type KeyServer,
} from '../identity/clerk/_session-tokens.ts'
import { createClerkSessions } from '../identity/clerk/verify-clerk-session.ts'
import { systemClock } from '../lib/clock.ts'
import { silentLogger } from '../lib/logger.ts'
import { testApp } from './_test-app.ts'

const ISSUER = 'https://clerk.example.com'
const KEY = createTestKey('ins_1')

function configured(db: Database, server: KeyServer) {
  const config = {
    clerkIssuer: ISSUER,
    clerkJwksUrl: server.url,
    clerkJwtKey: null,
    clerkAuthorizedParties: [],
  }
  return testApp(db, {
    clerkSessions: createClerkSessions({ db, clock: systemClock, log: silentLogger, config }),
  })
}

const sign = (claims: Record<string, unknown> = {}) =>
  signSession(KEY, { issuer: ISSUER, now: Date.now() }, { claims })

async function addPeople(db: Database): Promise<void> {
  await tell(db, 'user.created', 1, ada('Ada'))
  await tell(db, 'organization.created', 1, acme({ created_by: null }))
  await tell(db, 'organization.created', 1, { id: 'org_Beta', name: 'Beta', slug: 'beta' })
  await tell(db, 'organizationMembership.created', 2, {
    ...membership('1', 'org:admin'),
    created_at: 1_700_000_000_000,
  })
  await tell(db, 'organizationMembership.created', 3, {
    ...membership('2', 'org:member'),
    organization: { id: 'org_Beta' },
  })
}

describeOnBothEngines('sessions of Clerk at the API', (open) => {
  it('are the person in the organization that is active in them, with the role of our tables', async () => {
    await using database = await open()
    await using server = await startKeyServer(KEY)
    await addPeople(database.db)
    using app = configured(database.db, server)
    const me = async (claims: Record<string, unknown>, headers: Record<string, string> = {}) => {
      const token = await sign(claims)
      const response = await app.request('GET', '/api/me', { token, headers })
      return {
        status: response.status,
        body: (await response.json()) as { role?: unknown; organization?: { slug: string } },
      }
    }
    const slugOf = ({ body }: Awaited<ReturnType<typeof me>>) => body.organization?.slug
    assert.equal(slugOf(await me({})), 'acme')
    // The role that the token claims is not asked.
    const beta = await me({ org_id: 'org_Beta', org_role: 'org:admin' })
    assert.equal(slugOf(beta), 'beta')
    assert.equal(beta.body.role, 'member')
    assert.equal(
      slugOf(await me({ o: { id: 'org_Beta' } }, { 'x-nanoscale-organization': 'acme' })),
      'acme',
    )
    assert.equal((await me({ org_id: 'org_Unknown' })).status, 404)
  })

  it('are refused when they are not valid, and cannot be judged while the keys are away', async () => {
    await using database = await open()
    await using server = await startKeyServer(KEY)
    await addPeople(database.db)
    using app = configured(database.db, server)
    const expired = await sign({ exp: 1 })
    assert.equal((await app.request('GET', '/api/me', { token: expired })).status, 401)
    await using dead = await startKeyServer()
    dead.answer((response) => response.writeHead(503).end())
    using other = configured(database.db, dead)
    const response = await other.request('GET', '/api/me', { token: await sign() })
    assert.equal(response.status, 503)
    assert.equal(((await response.json()) as { code: string }).code, 'clerk.keys_unavailable')
  })
})
