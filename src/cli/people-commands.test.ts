import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { REPO, testApp, type TestApp } from '../http/_test-app.ts'
import { createHttpServers } from '../http/create-http-servers.ts'
import { systemClock } from '../lib/clock.ts'
import { createApiClient } from './api-client.ts'
import { CliError } from './cli-error.ts'
import { createProgram } from './program.ts'

/** The command line over the operator's socket of a real server. */
async function commandLine(test: TestApp) {
  await mkdir(join(test.app.config.dataDirectory, 'run'), { recursive: true })
  const servers = await createHttpServers(test.app)
  const run = async (...words: string[]) => {
    const lines: string[] = []
    const program = createProgram((options) => {
      const organization = options.org ?? null
      const socket = servers.operatorSocket
      return {
        client: createApiClient({ kind: 'operator', socket, organization }),
        clock: systemClock,
        json: options.json === true,
        out: (line) => lines.push(line),
        err: () => {},
        fail: () => {},
      }
    })
    await program.parseAsync(words, { from: 'user' })
    return lines.join('\n')
  }
  return { run, [Symbol.asyncDispose]: () => servers[Symbol.asyncDispose]() }
}

const fails = (exitCode: number) => (error: unknown) =>
  error instanceof CliError && error.exitCode === exitCode

describeOnBothEngines('nanoscale orgs', (open) => {
  it('creates, lists, closes and reopens organizations by their slugs', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using cli = await commandLine(test)
    assert.match(await cli.run('orgs', 'create', 'The Shop'), /^Created The Shop\n.*--org the-shop/)
    assert.match(await cli.run('orgs', 'list'), /^the-shop +The Shop +operator +just now +open/m)
    assert.match(await cli.run('orgs', 'close', 'the-shop'), /^Closed The Shop/)
    assert.match(await cli.run('orgs', 'list'), /the-shop .*closed just now/)
    assert.equal(await cli.run('orgs', 'reopen', 'the-shop'), 'Reopened The Shop')
    await assert.rejects(cli.run('orgs', 'close', 'nowhere'), fails(1))
    assert.match(await cli.run('--org', 'the-shop', 'me'), /^Organization +The Shop \(the-shop\)$/m)
  })
})

describeOnBothEngines('names that others chose', (open) => {
  it('do nothing to the terminal of whoever reads them', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using cli = await commandLine(test)
    await cli.run('orgs', 'create', 'Shop')
    // The API refuses such names; an identity provider may know no such rule.
    const name = 'Shop\u001b]0;owned\u0007\u001b[2J\u009b31m'
    await database.db.updateTable('organizations').set({ name }).execute()
    const closed = await cli.run('orgs', 'close', 'shop')
    assert.match(closed, /^Closed Shop/)
    for (const text of [closed, await cli.run('orgs', 'list')]) {
      assert.doesNotMatch(text, /(?!\n)\p{Cc}/u)
    }
  })
})

describeOnBothEngines('nanoscale members', (open) => {
  it('finds members by address, and changes and removes them', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await test.request('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
    const member = await test.as('member')
    await test.as('owner')
    await using cli = await commandLine(test)
    const { email } = member
    assert.match(
      await cli.run('members', 'list'),
      new RegExp(`^${email} +A member +member +all`, 'm'),
    )
    const limited = await cli.run('members', 'projects', email.toUpperCase(), 'shop')
    assert.equal(limited, `${email}: member, projects: 1`)
    const opened = await cli.run('members', 'projects', email, '--all')
    assert.equal(opened, `${email}: member, projects: all`)
    await assert.rejects(cli.run('members', 'projects', email), fails(2))
    assert.match(await cli.run('members', 'role', email, 'viewer'), /: viewer,/)
    await assert.rejects(cli.run('members', 'role', email, 'king'), fails(2))
    assert.match(await cli.run('members', 'reset-link', email), /^https:.*reset-password#token=/)
    assert.match(await cli.run('members', 'remove', member.userId), /^Removed/)
    await assert.rejects(cli.run('members', 'remove', email), fails(1))
  })
})

describeOnBothEngines('nanoscale invitations', (open) => {
  it('prints the link, lists and revokes by address', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await test.request('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
    await using cli = await commandLine(test)
    const invited = [
      'members',
      'invite',
      'Ada@example.com',
      '--role',
      'viewer',
      '--project',
      'shop',
    ]
    assert.match(await cli.run(...invited), /^https:.*accept-invitation#token=[\w-]{43}$/)
    const list = await cli.run('invitations', 'list')
    assert.match(list, /^ada@example\.com +viewer +1 +the operator +just now +until /m)
    assert.match(await cli.run('invitations', 'revoke', 'ADA@example.com'), /^Revoked/)
    assert.equal(await cli.run('invitations', 'list'), 'No open invitations')
  })
})

describeOnBothEngines('nanoscale tokens', (open) => {
  it('makes tokens with scopes', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using cli = await commandLine(test)
    const words = ['tokens', 'create', 'ci', '--scopes', 'projects:read, deployments:write']
    assert.match(await cli.run(...words), /^nsk_/)
    assert.match(await cli.run('tokens', 'list'), /the operator .*projects:read,deployments:write/)
    const made = JSON.parse(await cli.run('--json', 'tokens', 'create', 'all')) as {
      expires_at: string | null
      scopes: string[]
    }
    assert.deepEqual([made.expires_at, made.scopes], [null, ['*']])
  })
})
