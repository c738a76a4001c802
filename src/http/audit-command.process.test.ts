import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'

import { describeOnBothEngines, type TestDatabase } from '../../test/_databases.ts'
import { SYSTEM } from '../audit/actor.ts'
import { recordAuditEvent } from '../audit/record-audit-event.ts'
import { sealAuditEvents } from '../audit/seal-audit-events.ts'
import type { DatabaseLocation } from '../database/open-database.ts'
import { createLogger } from '../lib/logger.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import { createRedactor } from '../secrets/redactor.ts'
import { unlockKeyring } from '../secrets/unlock-keyring.ts'
import { testApp, type TestApp } from './_test-app.ts'
import { createHttpServers } from './create-http-servers.ts'

const MAIN = join(import.meta.dirname, '..', 'main.ts')

/** An API as the command line reaches it, with a chain of 1,200 events. */
async function openScene(database: TestDatabase): Promise<TestApp> {
  const { db } = database
  const test = testApp(db)
  const { dataDirectory } = test.app.config
  for (const name of ['run', 'keys']) {
    mkdirSync(join(dataDirectory, name), { recursive: true, mode: 0o700 })
  }
  const config = { encryptionKeys: null, dataDirectory }
  const { clock, newId } = test.app
  test.app.keyring = await unlockKeyring({ db, clock, config, redactor: createRedactor() })
  for (let index = 0; index < 1200; index += 1) {
    const event = { organizationId: 'org-default', by: SYSTEM, action: 'member.joined' } as const
    await recordAuditEvent({ clock, newId }, db, { ...event, details: { index } })
  }
  await sealAuditEvents({ db, clock, secret: await readInstanceSecret(test.app, 'audit') })
  return test
}

async function run(test: TestApp, location: DatabaseLocation, args: string[]) {
  const child = spawn(process.execPath, [MAIN, 'audit', ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      NANOSCALE_DATA_DIR: test.app.config.dataDirectory,
      ...(location.engine === 'postgres' ? { NANOSCALE_DATABASE_URL: location.url } : {}),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { out, errors, code }
}

describeOnBothEngines('nanoscale audit', (open, engine) => {
  it('lists, exports and verifies by the running server', async () => {
    await using database = await open()
    using test = await openScene(database)
    const { db, location } = database
    await using _servers = await createHttpServers(test.app)
    const listed = await run(test, location, ['list', '--since', '1h', '--limit', '3'])
    assert.equal(listed.code, 0, listed.errors)
    assert.equal(listed.out.trimEnd().split('\n').length, 4)
    assert.match(listed.out, /\n[\d-]+ [\d:]+ +system +member\.joined +done/)
    const exported = await run(test, location, ['export', '--action', 'member.joined'])
    assert.equal(exported.code, 0, exported.errors)
    const lines = exported.out.trimEnd().split('\n')
    assert.equal(lines.length, 1200)
    assert.equal(
      (JSON.parse(lines[1199] ?? '') as { details: object }).details['index' as never],
      1199,
    )
    const whole = await run(test, location, ['verify'])
    assert.equal(whole.code, 0, whole.errors)
    const anchor = /^Its head is (1200:[0-9a-f]{64})$/m.exec(whole.out)?.[1] ?? ''
    assert.match(whole.out, /^The audit is whole: 1200 events/)
    assert.equal((await run(test, location, ['verify', '--anchor', anchor])).code, 0)
    await db.deleteFrom('audit_events').where('sequence', '=', 7).execute()
    const broken = await run(test, location, ['verify'])
    assert.equal(broken.code, 1)
    assert.match(broken.errors, /^Event 7 is missing before event /)
    assert.match(broken.errors, /The audit is not whole: 1 problem was found\n$/)
    const json = await run(test, location, ['verify', '--json'])
    assert.equal(json.code, 1)
    assert.equal((JSON.parse(json.out) as { problem_count: number }).problem_count, 1)
  })

  it('fails an export that the server breaks off', async () => {
    await using database = await open()
    using test = await openScene(database)
    let reads = 0
    const lines: string[] = []
    test.app.log = createLogger({ level: 'error', write: (line) => lines.push(line) })
    const db = database.db.withPlugin({
      transformQuery: ({ node }) => {
        const query = JSON.stringify(node)
        if (query.includes('"LimitNode"') && query.includes('"audit_events"')) reads += 1
        // A page is two reads: of the organization and of the instance.
        if (reads > 2) throw new Error('The disk is gone')
        return node
      },
      transformResult: ({ result }) => Promise.resolve(result),
    })
    await using _servers = await createHttpServers({ ...test.app, db })
    const exported = await run(test, database.location, ['export'])
    assert.equal(exported.code, 1)
    assert.match(exported.errors, /The answer broke off: what came is not all/)
    assert.match(lines.join('\n'), /The disk is gone/)
  })

  if (engine === 'postgres') {
    it('verifies without a server', async () => {
      await using database = await open()
      using test = await openScene(database)
      const whole = await run(test, database.location, ['verify'])
      assert.equal(whole.code, 0, whole.errors)
      assert.match(whole.out, /^The audit is whole: 1200 events/)
      await database.db
        .updateTable('audit_events')
        .set({ actor_name: 'somebody else' })
        .where('sequence', '=', 5)
        .execute()
      const broken = await run(test, database.location, ['verify'])
      assert.equal(broken.code, 1)
      assert.match(broken.errors, /^Event 5 \(\S+, "member\.joined"\) is not as it was sealed/)
      const wrong = await run(test, database.location, ['verify', '--anchor', '5'])
      assert.equal(wrong.code, 1)
      assert.match(wrong.errors, /it is SEQ:MAC/)
    })
  }
})
