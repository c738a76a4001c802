import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { createApiClient } from '../cli/api-client.ts'
import { CliError } from '../cli/cli-error.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { requestDeployment } from '../deployments/request-deployment.ts'
import { toIsoTime } from '../lib/clock.ts'
import { REPO, testApp, type TestApp } from './_test-app.ts'
import { createHttpServers } from './create-http-servers.ts'

async function serve(test: TestApp) {
  await mkdir(join(test.app.config.dataDirectory, 'run'), { recursive: true })
  return await createHttpServers(test.app)
}

async function startDeployment(test: TestApp, projectId: string): Promise<string> {
  const commit = { sha: 'a'.repeat(40), message: 'First', author: null, committedAt: null }
  const request = { projectId, cause: 'first' as const, commit }
  const { deploymentId } = await inTransaction(test.app.db, (tx) =>
    requestDeployment(test.app, tx, request),
  )
  return deploymentId
}

async function log(test: TestApp, deploymentId: string, sequence: number, text: string) {
  const row = { sequence, stream: 'output' as const, text, logged_at: toIsoTime(Date.now()) }
  await test.app.db
    .insertInto('deployment_logs')
    .values({ ...row, deployment_id: deploymentId, organization_id: 'org-default' })
    .execute()
  return row
}

describeOnBothEngines('createHttpServers()', (open) => {
  it('takes the operator on a socket that is his alone, and tokens on TCP', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using servers = await serve(test)
    assert.equal((await stat(servers.operatorSocket)).mode & 0o777, 0o600)
    const socket = servers.operatorSocket
    const operator = createApiClient({ kind: 'operator', socket, organization: null })
    const created = await operator.call('tokens.create', { body: { name: 'laptop' } })
    const url = new URL(`http://127.0.0.1:${servers.port}`)
    const remote = createApiClient({ kind: 'network', url, token: created.token })
    assert.equal((await remote.call('me', {})).kind, 'token')
    const stranger = createApiClient({ kind: 'network', url, token: 'nsk_no' })
    await assert.rejects(stranger.call('me', {}), CliError)
    const elsewhere = createApiClient({ kind: 'operator', socket, organization: 'nobody' })
    await assert.rejects(elsewhere.call('me', {}), CliError)
  })

  it('A-01 refuses strangers before it reads their body', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using servers = await serve(test)
    const socket = connect(servers.port, '127.0.0.1')
    const head = 'POST /api/projects HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
    // A first piece; the rest never comes.
    socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n2\r\n{ \r\n`)
    const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(5000) })) as [Buffer]
    socket.destroy()
    assert.match(answer.toString(), /^HTTP\/1.1 401 /)
  })

  it('knows clients behind a proxy that it trusts by what the proxy says, and no others', async () => {
    await using database = await open()
    using usual = testApp(database.db)
    const config = { ...usual.app.config, trustedProxies: ['127.0.0.1'] }
    for (const [test, address] of [
      [usual, '127.0.0.1'],
      [testApp(database.db, { config }), '203.0.113.9'],
    ] as const) {
      using app = test
      await using servers = await serve(app)
      const headers = {
        'x-forwarded-for': '198.51.100.1, 203.0.113.9',
        authorization: `Bearer ${await app.tokenOf('org-default', { scopes: [] })}`,
      }
      const response = await fetch(`http://127.0.0.1:${servers.port}/api/projects`, { headers })
      assert.equal(response.status, 403)
      const noted = await database.db
        .selectFrom('audit_events')
        .select('address')
        .where('action', '=', 'request.refused')
        .orderBy('id', 'desc')
        .executeTakeFirstOrThrow()
      assert.equal(noted.address, address)
    }
  })

  it('takes no headers over 16 KiB', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using servers = await serve(test)
    const base = `http://127.0.0.1:${servers.port}`
    const headers = { cookie: 'x'.repeat(16_384) }
    assert.equal((await fetch(`${base}/api/docs`, { headers })).status, 431)
    assert.equal((await fetch(`${base}/api/docs?${'x'.repeat(16_384)}`)).status, 431)
  })

  it('streams the log of a deployment, resumes it behind the last event and ends with it', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await using servers = await serve(test)
    const socket = servers.operatorSocket
    const client = createApiClient({ kind: 'operator', socket, organization: null })
    const project = await client.call('projects.create', { body: { name: 'shop', ...REPO } })
    const id = await startDeployment(test, project.id)
    await log(test, id, 1, 'one\n')
    const input = { params: { id }, query: {} }
    const first = client.stream('deployments.logs', input)
    assert.equal((await first.next()).value?.id, '1')
    // What is appended while we listen arrives without waiting for the next poll.
    const row = await log(test, id, 2, 'two\n')
    test.app.events.emitLog(id, [row])
    assert.equal((await first.next()).value?.id, '2')
    await client.call('deployments.cancel', { params: { id } })
    test.app.events.emitChange(project.id)
    const last = (await first.next()).value
    assert.equal(last?.event, 'end')
    assert.deepEqual(last?.data, { state: 'cancelled' })
    const events = await Array.fromAsync(
      client.stream('deployments.logs', input, { lastEventId: '1' }),
    )
    assert.deepEqual(
      events.map((event) => event.id ?? event.event),
      ['2', 'end'],
    )
  })

  it('gives a log as text, and ends streams when it stops', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const servers = await serve(test)
    const made = await test.request('POST', '/api/projects', { body: { name: 'shop', ...REPO } })
    const { id: projectId } = (await made.json()) as { id: string }
    const id = await startDeployment(test, projectId)
    await log(test, id, 1, 'one\ntwo\n')
    const headers = { accept: 'text/plain' }
    const text = await test.request('GET', `/api/deployments/${id}/logs`, { headers })
    assert.equal(await text.text(), 'one\ntwo\n')
    const socket = servers.operatorSocket
    const client = createApiClient({ kind: 'operator', socket, organization: null })
    const stream = client.stream('deployments.logs', { params: { id }, query: {} })
    await stream.next()
    await servers[Symbol.asyncDispose]()
    assert.equal((await stream.next()).done, true)
    await assert.rejects(client.call('me', {}), (error: CliError) => {
      assert.equal(error.exitCode, 3)
      assert.match(error.message, /does not run here/)
      return true
    })
  })
})
