import type { Database } from '../../database/database.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { systemClock } from '../../lib/clock.ts'
import { newId } from '../../lib/ids.ts'
/** A browser, a real provider and a real database: what signing in at the provider does here. */
import { createLogger } from '../../lib/logger.ts'
import { Secret } from '../../lib/secret.ts'
import { createKeyring } from '../../secrets/keyring.ts'
import { createInvitation } from '../invitations.ts'
import { createPerson } from '../people.ts'
import { createSessionCookies } from '../sign-in/session-cookie.ts'
import { createSession } from '../sign-in/sessions.ts'
import { CLIENT_ID, CLIENT_SECRET, startProvider } from './_provider.ts'
import { createOidc } from './create-oidc.ts'
import { finishOidc, type OidcEnd } from './finish-oidc.ts'
import { addIdentity } from './identities.ts'
import { startOidc } from './start-oidc.ts'

export const HOME = 'https://nanoscale.example.com'
export const REDIRECT_URI = `${HOME}/api/auth/callback/oidc`
export const BY = {
  kind: 'anonymous',
  id: null,
  name: null,
  address: '192.0.2.7',
  requestId: 'request-1',
} as const

interface Session {
  userId: string
  sessionId: string
}

/** A trip that came back from the provider and was not answered yet. */
export interface Trip {
  url: URL
  binding: string
}

interface Begin {
  session?: Session
  returnTo?: string
  invitationToken?: string
  binding?: string
}

export async function oidcScene(db: Database) {
  const provider = await startProvider({ redirectUri: REDIRECT_URI })
  let offset = 0
  const clock = { ...systemClock, now: () => systemClock.now() + offset }
  const lines: string[] = []
  const config = {
    oidcIssuer: provider.issuer,
    oidcClientId: CLIENT_ID,
    oidcClientSecret: new Secret(CLIENT_SECRET),
    oidcName: 'Test',
    publicBaseUrl: HOME,
  }
  const log = createLogger({ level: 'info', write: (line) => lines.push(line) })
  const cookies = createSessionCookies({ publicBaseUrl: HOME, secret: 'test', sessionDays: 7 })
  const keyring = createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(7) }])
  const oidc = createOidc({ config, clock, log })
  const deps = { db, clock, newId, keyring, cookies, oidc }
  const begin = async (options: Begin = {}): Promise<Trip> => {
    const started = await startOidc(deps, {
      purpose: options.session === undefined ? 'oidc.sign_in' : 'oidc.link',
      userId: options.session?.userId ?? null,
      binding: options.binding ?? null,
      returnTo: options.returnTo ?? null,
      invitationToken: options.invitationToken ?? null,
    })
    return { binding: started.binding, url: await provider.visit(started.url) }
  }
  const end = (trip: Trip, session: Session | null = null): Promise<OidcEnd> =>
    finishOidc(deps, {
      answer: Object.fromEntries(trip.url.searchParams),
      binding: trip.binding,
      session,
      by: session === null ? BY : { ...BY, kind: 'user', id: session.userId, name: 'somebody' },
      from: { ipAddress: BY.address, userAgent: 'test' },
    })
  return {
    provider,
    deps,
    lines,
    advance: (ms: number) => {
      offset += ms
    },
    begin,
    end,
    signIn: async (options: Begin = {}) => await end(await begin(options)),
    ...people(deps),
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  }
}

type SceneDeps = Pick<Parameters<typeof finishOidc>[0], 'db' | 'clock' | 'newId' | 'cookies'>

function people(deps: SceneDeps) {
  const { db } = deps
  return {
    addPerson: (email: string, identity?: { issuer: string; subject: string }) =>
      inTransaction(db, async (tx) => {
        const person = { email, name: 'Somebody', passwordHash: null }
        const { id } = await createPerson(deps, tx, person)
        if (identity !== undefined)
          await addIdentity(deps, tx, { person: { id, email }, by: BY, ...identity })
        return id
      }),
    addSession: async (userId: string): Promise<Session> => {
      const { sessionId } = await createSession(deps, db, userId, {
        ipAddress: null,
        userAgent: null,
      })
      return { userId, sessionId }
    },
    invite: async (email: string) => {
      const invitation = {
        email,
        role: 'member',
        projectAccess: 'all',
        projectIds: [],
        invitedByUserId: null,
        by: BY,
      } as const
      return (await createInvitation(deps, 'org-default', invitation)).token
    },
  }
}
