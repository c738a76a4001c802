import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'

import { Secret } from '../../lib/secret.ts'
import type { GithubApp } from '../github-host.ts'
import { createHost, never, startScene } from './_scene.ts'
import type { GithubHostDeps } from './create-github-host.ts'

const TOKEN = new Secret('ghu_person')
const isCode = (code: string) => (error: { code?: string }) => error.code === code

/** A server that answers as `listener` says, and a host that may speak with it. */
async function startServer(listener: RequestListener, deps: Partial<GithubHostDeps> = {}) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    listener(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const webUrl = `http://127.0.0.1:${port}`
  const host = createHost({ gitHosts: [`127.0.0.1:${port}@private`], ...deps })
  const app: GithubApp = {
    integrationId: 'integration-1',
    appId: 1,
    slug: 'deployer',
    clientId: 'Iv23',
    clientSecret: new Secret('client-secret'),
    privateKeys: [],
    webUrl,
    apiUrl: `${webUrl}/api/v3`,
  }
  return {
    app,
    host,
    asked,
    port,
    readUser: () => host.readUser(app, TOKEN, never),
    [Symbol.asyncDispose]: async () => {
      await host[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const sendJson = (value: unknown): RequestListener => {
  return (_request, response) => void response.end(JSON.stringify(value))
}

describe('asking GitHub', () => {
  it('S-01 refuses an address that is not public, unless the operator marked the host', async () => {
    await using server = await startServer(sendJson({ id: 1, login: 'ada' }))
    assert.deepEqual(await server.readUser(), { id: 1, login: 'ada' })
    for (const address of ['169.254.169.254', '127.0.0.1', '::ffff:10.0.0.1']) {
      await using host = createHost({
        gitHosts: ['github.com'],
        lookup: () => Promise.resolve([address]),
      })
      const site = { apiUrl: 'https://api.github.com', webUrl: 'https://github.com' }
      const asking = host.readUser({ ...server.app, ...site }, TOKEN, never)
      await assert.rejects(asking, /is not public/)
    }
    await using host = createHost({ gitHosts: [`127.0.0.1:${server.port}`] })
    await assert.rejects(host.readUser(server.app, TOKEN, never), /http is open to everyone/)
    // An address is looked up by nobody.
    const webUrl = `https://127.0.0.1:${server.port}`
    const literal = { ...server.app, webUrl, apiUrl: `${webUrl}/api/v3` }
    await assert.rejects(host.readUser(literal, TOKEN, never), /127\.0\.0\.1 is not public/)
    assert.equal(server.asked.length, 1)
  })

  it('S-02 connects to the address that was checked, and looks it up no second time', async () => {
    const answers = [['127.0.0.1'], ['169.254.169.254']]
    let lookups = 0
    await using server = await startServer(sendJson({ id: 1, login: 'ada' }))
    const name = `github.localhost:${server.port}`
    await using host = createHost({
      gitHosts: [`${name}@private`],
      lookup: () => Promise.resolve(answers[lookups++] ?? []),
    })
    const app = { ...server.app, webUrl: `http://${name}`, apiUrl: `http://${name}/api/v3` }
    assert.equal((await host.readUser(app, TOKEN, never)).login, 'ada')
    assert.equal(lookups, 1)
  })

  it('S-03 follows no redirect, which would take the credentials along', async () => {
    await using elsewhere = await startServer(sendJson({ id: 1, login: 'eve' }))
    for (const status of [301, 302, 307, 308]) {
      await using server = await startServer((_request, response) => {
        response.writeHead(status, { location: `${elsewhere.app.apiUrl}/user` }).end()
      })
      await assert.rejects(server.readUser(), isCode('github.invalid_answer'))
    }
    assert.deepEqual(elsewhere.asked, [])
  })

  it('S-07 ends an answer that is too large', async () => {
    await using server = await startServer((_request, response) => {
      const chunk = Buffer.alloc(65_536, 'a')
      const more = () => {
        while (response.write(chunk));
      }
      response.on('drain', more)
      more()
    })
    await assert.rejects(server.readUser(), /it is over 8 MiB/)
  })

  it('S-07 ends a wait for the headers, and for the rest of a body', async () => {
    const deadlines = { headersMs: 100, bodyMs: 100 }
    await using silent = await startServer(() => {}, { deadlines })
    await assert.rejects(silent.readUser(), /no answer within 0.1 s/)
    await using endless = await startServer(
      (_request, response) => {
        response.write('{')
        const timer = setInterval(() => response.write(' '), 20)
        response.on('close', () => clearInterval(timer))
      },
      { deadlines },
    )
    await assert.rejects(endless.readUser(), /no complete answer within 0.1 s/)
  })

  it('ends at once when it is asked to', async () => {
    const leaving = new AbortController()
    await using server = await startServer(() => leaving.abort(new Error('enough')))
    const asking = server.host.readUser(server.app, TOKEN, leaving.signal)
    await assert.rejects(asking, /enough/)
  })

  it('S-08 continues a list at the same API alone', async () => {
    for (const next of [
      'http://169.254.169.254/latest',
      'https://127.0.0.1/api/v3/x',
      '/api/v3/user',
      'http://127.0.0.1:PORT/api/v33/user/installations',
      'http://127.0.0.1:PORT/api/v3/../../secret',
    ]) {
      await using server = await startServer((request, response) => {
        const port = String(request.socket.localPort)
        response.setHeader('link', `<${next.replace('PORT', port)}>; rel="next"`)
        response.end('{"installations":[]}')
      })
      const listing = Array.fromAsync(server.host.listUserInstallations(server.app, TOKEN, never))
      await assert.rejects(listing, /its next page is somewhere else/)
      assert.equal(server.asked.length, 1)
    }
  })

  it('S-08 gives up on a list without an end', async () => {
    await using server = await startServer((request, response) => {
      const port = String(request.socket.localPort)
      const url = `http://127.0.0.1:${port}/api/v3/user/installations?page=2`
      response.setHeader('link', `<${url}>; rel="next", <${url}>; rel="last"`)
      response.end('{"installations":[]}')
    })
    const listing = Array.fromAsync(server.host.listUserInstallations(server.app, TOKEN, never))
    await assert.rejects(listing, /more than 1000 pages/)
    assert.equal(server.asked.length, 1001)
  })

  it('believes nothing that is not as documented, and rounds no id', async () => {
    const wrong = [
      'null',
      '[]',
      '{',
      '<html>',
      '{"login":"ada"}',
      '{"id":"1","login":"ada"}',
      '{"id":9007199254740993,"login":"ada"}',
      '{"id":-1,"login":"ada"}',
    ]
    for (const text of wrong) {
      await using server = await startServer((_request, response) => void response.end(text))
      await assert.rejects(server.readUser(), isCode('github.invalid_answer'), text)
    }
  })

  it('takes the 404 of a proxy for no word about what is gone', async () => {
    await using server = await startServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not Found</h1>')
    })
    await assert.rejects(server.readUser(), isCode('github.invalid_answer'))
    await using real = await startServer((_request, response) => {
      response.writeHead(404).end('{"message":"Not Found","status":"404"}')
    })
    await assert.rejects(real.readUser(), isCode('github.not_found'))
  })

  it('leaves out an installation whose account is gone, and nothing else', async () => {
    const installation = {
      id: 7,
      app_id: 1,
      app_slug: 'deployer',
      account: { id: 9, slug: 'acme-corp' },
      target_type: 'Enterprise',
      target_id: 9,
      repository_selection: 'all',
      permissions: { contents: 'read' },
      events: [],
      html_url: 'https://github.com/enterprises/acme-corp',
      suspended_at: '2026-01-02T03:04:05Z',
    }
    const orphan = { ...installation, id: 8, account: null }
    await using server = await startServer(sendJson({ installations: [orphan, installation] }))
    const listing = server.host.listUserInstallations(server.app, TOKEN, never)
    const [found, ...more] = await Array.fromAsync(listing)
    assert.deepEqual(more, [])
    assert.deepEqual(found?.account, { id: 9, login: 'acme-corp', type: 'Enterprise' })
    assert.equal(found?.suspendedAt, '2026-01-02T03:04:05.000Z')
    const { app_id: _app, ...wrong } = installation
    await using other = await startServer(sendJson({ installations: [wrong] }))
    const failing = Array.fromAsync(other.host.listUserInstallations(other.app, TOKEN, never))
    await assert.rejects(failing, isCode('github.invalid_answer'))
  })

  it('refuses a repository whose clone address is somewhere else', async () => {
    const repository = {
      id: 5,
      node_id: 'R_5',
      owner: { login: 'acme' },
      name: 'shop',
      full_name: 'acme/shop',
      default_branch: 'main',
      private: true,
      html_url: 'https://evil.example/acme/shop',
      clone_url: 'https://evil.example/acme/shop.git',
    }
    await using server = await startServer(sendJson(repository))
    const reading = server.host.readUserRepository(server.app, TOKEN, 5, never)
    await assert.rejects(reading, /has its address somewhere else/)
  })

  it('puts no credential and no control character of an answer into an error', async () => {
    await using server = await startServer((_request, response) => {
      response.writeHead(403).end(JSON.stringify({ message: `no\n\u001B[31m${'x'.repeat(999)}` }))
    })
    await assert.rejects(server.readUser(), (error: Error & { code?: string }) => {
      assert.match(
        error.message,
        /^Cannot read the GitHub account: GitHub answered 403 \(no \[31mx+\)$/,
      )
      assert.ok(error.message.length < 300)
      assert.doesNotMatch(`${error.stack}`, /ghu_person/)
      return isCode('github.refused')(error)
    })
  })

  it('asks again when a connection that was kept had ended meanwhile', async () => {
    await using scene = await startScene()
    const { fake, host, app } = scene
    await host.readApp(app, never)
    fake.faults.request({ kind: 'reset' })
    assert.equal((await host.readApp(app, never)).id, app.appId)
    fake.faults.request({ kind: 'reset' }, { times: 2 })
    await assert.rejects(host.readApp(app, never), isCode('github.unreachable'))
  })

  it('B-18 says when GitHub fails, and does not ask again by itself', async () => {
    await using scene = await startScene()
    const { fake, host, app } = scene
    for (const status of [500, 502, 503]) {
      fake.faults.request({ kind: 'status', status })
      await assert.rejects(host.readApp(app, never), isCode('github.unreachable'))
    }
    fake.faults.request({ kind: 'truncate', bytes: 10 })
    fake.faults.request({ kind: 'truncate', bytes: 10 })
    await assert.rejects(host.readApp(app, never), isCode('github.unreachable'))
  })
})
