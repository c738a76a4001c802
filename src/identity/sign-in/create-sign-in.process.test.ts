import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'

import { describeOnBothEngines } from '../../../test/_databases.ts'
import { inTransaction } from '../../database/in-transaction.ts'
import { systemClock } from '../../lib/clock.ts'
import { newId } from '../../lib/ids.ts'
import { silentLogger } from '../../lib/logger.ts'
import { createKeyring } from '../../secrets/keyring.ts'
import { createPerson } from '../people.ts'
import { createSignIn } from './create-sign-in.ts'
import { authenticateSession } from './sessions.ts'

const KEY_1 = { id: 'k1', bytes: new Uint8Array(32).fill(1) }
const KEY_2 = { id: 'k2', bytes: new Uint8Array(32).fill(2) }
const CONFIG = { publicBaseUrl: 'https://nanoscale.example.com', sessionDays: 7 }
const PASSWORD = 'correct horse battery'

/** Says which parts of the library are loaded before and after somebody signs in. */
const PROGRAM = `
import { registerHooks } from 'node:module'
const loaded = new Set()
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('better-auth')) loaded.add(specifier)
    return next(specifier, context)
  },
})
const at = (path) => import(new URL(path, process.argv[1]))
const { openDatabase } = await at('../../database/open-database.ts')
const { migrateToLatest } = await at('../../database/migrate.ts')
const { createSignIn } = await at('./create-sign-in.ts')
const { authenticateSession, createSession } = await at('./sessions.ts')
const { createKeyring } = await at('../../secrets/keyring.ts')
const { newId } = await at('../../lib/ids.ts')
const { systemClock: clock } = await at('../../lib/clock.ts')
const { createPerson } = await at('../people.ts')
const db = await openDatabase({ engine: 'sqlite', path: ':memory:' })
await migrateToLatest(db)
const keyring = createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(1) }])
const config = { publicBaseUrl: 'https://nanoscale.example.com', sessionDays: 7 }
const signIn = await createSignIn({ db, clock, newId, keyring, log: { error() {} }, config })
const { cookies } = signIn
const { id } = await createPerson({ clock, newId }, db, { email: 'a@x.org', name: 'A', passwordHash: null })
const from = { ipAddress: null, userAgent: null }
const { cookie } = await createSession({ clock, newId, cookies }, db, id, from)
const session = await authenticateSession({ db, clock, cookies }, cookie.split(';')[0])
const before = loaded.size
await signIn.hashPassword('a long enough password')
console.log(JSON.stringify({ userId: session?.userId === id, before, after: loaded.size }))
`

describe('createSignIn()', () => {
  it('loads the library when somebody signs in, and for no request with a session', async () => {
    const url = new URL('./create-sign-in.ts', import.meta.url).href
    const args = ['--input-type=module', '--eval', PROGRAM, '--', url]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 })
    const { userId, before, after } = JSON.parse(stdout) as Record<string, unknown>
    assert.equal(userId, true)
    assert.equal(before, 0)
    assert.ok(Number(after) > 0)
  })
})

describeOnBothEngines('createSignIn()', (open) => {
  it('goes on with sessions and second factors after its key was rotated', async () => {
    await using database = await open()
    const { db } = database
    const deps = { db, clock: systemClock, newId, log: silentLogger, config: CONFIG }
    const before = await createSignIn({ ...deps, keyring: createKeyring([KEY_1]) })
    const passwordHash = await before.hashPassword(PASSWORD)
    const person = { email: 'ada@example.com', name: 'Ada', passwordHash }
    const { id } = await inTransaction(db, (tx) => createPerson(deps, tx, person))
    const request = { cookie: null, address: null, userAgent: null }
    const body = { email: person.email, password: PASSWORD }
    const { setCookies } = await before.call('/sign-in/email', { ...request, body })
    const cookie = setCookies[0]?.split(';')[0] ?? null
    const asked = { ...request, cookie, body: { password: PASSWORD } }
    await before.call('/two-factor/enable', asked)
    const after = await createSignIn({ ...deps, keyring: createKeyring([KEY_2, KEY_1]) })
    const session = await authenticateSession({ ...deps, cookies: after.cookies }, cookie)
    assert.equal(session?.userId, id)
    const again = await after.call('/two-factor/enable', asked)
    assert.ok(String(again.body['totpURI']).startsWith('otpauth://'))
  })
})
