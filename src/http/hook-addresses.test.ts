import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import { addApp, keyring } from '../webhooks/_test-hooks.ts'
import { headersOf, pushOf } from '../webhooks/_test-inbox.ts'
import { startWebhooks } from '../webhooks/start-webhooks.ts'
import { testApp } from './_test-app.ts'
import { createHttpServers } from './create-http-servers.ts'

async function serve(db: Database) {
  const stack = new AsyncDisposableStack()
  const test = testApp(db)
  const webhooks = startWebhooks({
    ...test.app,
    keyring,
    reconcile: () => Promise.resolve({ kind: 'unchanged', head: '' }),
    lifecycle: () => Promise.resolve({ kind: 'done' }),
  })
  stack.defer(() => test[Symbol.dispose]())
  stack.use(webhooks)
  await mkdir(join(test.app.config.dataDirectory, 'run'), { recursive: true })
  const servers = stack.use(await createHttpServers({ ...test.app, webhooks }))
  return { servers, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

describeOnBothEngines('addresses of hooks', (open) => {
  it('take deliveries before the API does', async () => {
    await using database = await open()
    await addApp(database.db)
    await addApp(database.db, { organizationId: null, id: 'environment', publicId: 'unguessable' })
    await using server = await serve(database.db)
    const post = async (path: string, headers: Record<string, string> = {}) => {
      const url = `http://127.0.0.1:${server.servers.port}${path}`
      const body = pushOf()
      const init = { method: 'POST', body, headers: { ...headersOf(body), ...headers } }
      return (await fetch(url, init)).status
    }
    assert.equal(await post('/hooks/app-hook'), 202)
    assert.equal(await post('/hooks/app-hook/'), 202)
    assert.equal(await post('/hooks/app-hook?x=y'), 202)
    assert.equal(await post('/api/integrations/github/webhook'), 202)
    assert.equal(await post('/hooks/unknown'), 401)
    assert.equal(await post('/hooks/%61pp-hook'), 401)
    assert.equal(await post('/hooks/app-hook/more'), 404)
    assert.equal(await post('/hooks/'), 404)
  })

  it('W-39 count failures by the connection, whatever X-Forwarded-For says', async () => {
    await using database = await open()
    await addApp(database.db)
    await using server = await serve(database.db)
    const statuses = []
    for (let sent = 0; sent < 31; sent += 1) {
      const headers = { ...headersOf('{}', { secret: 'x' }), 'x-forwarded-for': `10.0.0.${sent}` }
      const url = `http://127.0.0.1:${server.servers.port}/hooks/app-hook`
      statuses.push((await fetch(url, { method: 'POST', body: '{}', headers })).status)
    }
    assert.deepEqual(statuses.slice(29), [401, 429])
  })

  it('W-37 know no other method, TRACE included', async () => {
    await using database = await open()
    await addApp(database.db)
    await using server = await serve(database.db)
    for (const method of ['GET', 'HEAD', 'PUT', 'OPTIONS', 'TRACE', 'DELETE']) {
      for (const path of ['/hooks/app-hook', '/api/integrations/github/webhook']) {
        const sent = request({ host: '127.0.0.1', port: server.servers.port, path, method }).end()
        const [response] = (await once(sent, 'response')) as [IncomingMessage]
        response.resume()
        assert.equal(response.statusCode, 405, `${method} ${path}`)
      }
    }
  })
})
