import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { describe, it } from 'node:test'

import { ask, askRaw, HOST, instance, serve, startApp } from './_test-servers.ts'

describe('proxyRequest()', () => {
  it('passes method, path, query, body and answer on byte by byte', async () => {
    await using app = await startApp((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        response.writeHead(201, 'Made', [
          'Set-Cookie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'X-Seen',
          `${request.method} ${request.url}`,
        ])
        response.end(Buffer.concat(parts))
      })
    })
    await using traffic = await serve(instance('a', app.port))
    const body = 'ü€'.repeat(100_000)
    const answer = await ask(traffic.port, HOST, '/x/..%2f?q=%20', { method: 'POST', body })
    assert.equal(answer.status, 201)
    assert.equal(answer.body, body)
    assert.equal(answer.headers['x-seen'], 'POST /x/..%2f?q=%20')
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
  })

  it('finds the app by name whatever its case, port or trailing dot', async () => {
    await using app = await startApp((_, response) => response.end('shop'))
    await using traffic = await serve(instance('a', app.port))
    for (const host of ['SHOP.localhost', `${HOST}:8080`, `${HOST}.`, `${HOST}.:80`]) {
      assert.equal((await ask(traffic.port, host)).body, 'shop', host)
    }
    assert.equal((await ask(traffic.port, `x.${HOST}`)).status, 404)
  })

  it('removes hop-by-hop headers in both directions, also those that Connection names', async () => {
    await using app = await startApp((request, response) => {
      response.setHeader('Connection', 'X-Private, close')
      response.setHeader('X-Private', '1')
      response.setHeader('Proxy-Authenticate', 'Basic')
      response.end(JSON.stringify(request.headers))
    })
    await using traffic = await serve(instance('a', app.port))
    const answer = await ask(traffic.port, HOST, '/', {
      headers: { connection: 'X-Secret', 'x-secret': '1', te: 'trailers', 'x-kept': '2' },
    })
    const seen = JSON.parse(answer.body) as Record<string, string>
    assert.equal(seen['x-secret'], undefined)
    assert.equal(seen['te'], undefined)
    assert.equal(seen['x-kept'], '2')
    assert.equal(answer.headers['x-private'], undefined)
    assert.equal(answer.headers['proxy-authenticate'], undefined)
  })

  const forged = {
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'bank.example',
    x_forwarded_for: '7.7.7.7',
    'x-real-ip': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
  }

  it('believes no X-Forwarded header of a peer that is not trusted, loopback included', async () => {
    await using app = await startApp((request, response) =>
      response.end(JSON.stringify(request.headers)),
    )
    await using traffic = await serve(instance('a', app.port))
    const answer = await ask(traffic.port, `${HOST}:8080`, '/', { headers: forged })
    const seen = JSON.parse(answer.body) as Record<string, string>
    assert.equal(seen['x-forwarded-for'], '127.0.0.1')
    assert.equal(seen['x-forwarded-proto'], 'http')
    assert.equal(seen['x-forwarded-host'], `${HOST}:8080`)
    assert.equal(seen['host'], `${HOST}:8080`)
    for (const name of ['x_forwarded_for', 'x-real-ip', 'forwarded']) {
      assert.equal(seen[name], undefined, name)
    }
  })

  it('believes a trusted proxy and adds its address', async () => {
    await using app = await startApp((request, response) =>
      response.end(JSON.stringify(request.headers)),
    )
    await using traffic = await serve(instance('a', app.port), { trustedProxies: ['127.0.0.0/8'] })
    const answer = await ask(traffic.port, HOST, '/', { headers: forged })
    const seen = JSON.parse(answer.body) as Record<string, string>
    assert.equal(seen['x-forwarded-for'], '6.6.6.6, 127.0.0.1')
    assert.equal(seen['x-forwarded-proto'], 'https')
    assert.equal(seen['x-forwarded-host'], 'bank.example')
  })

  it('streams an answer while it is being made, and ends the app’s work when the client leaves', async () => {
    const left = Promise.withResolvers<void>()
    await using app = await startApp((_, response) => {
      response.write('first')
      response.once('close', () => left.resolve())
    })
    await using traffic = await serve(instance('a', app.port))
    const request = httpRequest({
      port: traffic.port,
      host: '127.0.0.1',
      headers: { host: HOST },
      agent: false,
    }).end()
    request.on('error', () => {})
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream]
    const [part] = (await once(response, 'data')) as [Buffer]
    assert.equal(part.toString(), 'first')
    request.destroy()
    await left.promise
  })

  it('answers early refusals of a large upload without cutting the client off', async () => {
    await using app = await startApp((_, response) => response.writeHead(413).end('too large'))
    await using traffic = await serve(instance('a', app.port))
    const request = httpRequest({
      port: traffic.port,
      host: '127.0.0.1',
      method: 'POST',
      headers: { host: HOST, 'content-length': '50000000' },
      agent: false,
    })
    request.on('error', () => {})
    request.write('x'.repeat(1000))
    const [response] = (await once(request, 'response')) as [{ statusCode: number }]
    assert.equal(response.statusCode, 413)
    request.destroy()
  })

  it('asks for the body of Expect: 100-continue only when an app will read it', async () => {
    await using app = await startApp((request, response) => {
      request.resume().on('end', () => response.end('read'))
    })
    await using traffic = await serve(instance('a', app.port))
    const head = (host: string) =>
      `POST / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n`
    const socket = connect(traffic.port, '127.0.0.1', () => socket.write(head(HOST)))
    const [first] = (await once(socket, 'data')) as [Buffer]
    assert.match(first.toString(), /^HTTP\/1.1 100 Continue/)
    socket.write('hi')
    const [second] = (await once(socket, 'data')) as [Buffer]
    assert.match(second.toString(), /^HTTP\/1.1 200 OK/)
    socket.destroy()
    assert.match(await askRaw(traffic.port, head('no.localhost')), /^HTTP\/1.1 404/)
  })

  it('passes HEAD, 204 and 304 on without a body', async () => {
    await using app = await startApp((request, response) => {
      const status = Number(request.url?.slice(1))
      response.writeHead(status, status === 200 ? { 'content-length': 5 } : {})
      response.end(request.method === 'HEAD' || status !== 200 ? undefined : 'hello')
    })
    await using traffic = await serve(instance('a', app.port))
    const head = await ask(traffic.port, HOST, '/200', { method: 'HEAD' })
    assert.equal(head.headers['content-length'], '5')
    assert.equal(head.body, '')
    assert.equal((await ask(traffic.port, HOST, '/204')).status, 204)
    assert.equal((await ask(traffic.port, HOST, '/304')).status, 304)
  })

  it('tries again when the app closed a kept connection in the moment it was used', async () => {
    let requests = 0
    await using app = await startApp((request, response) => {
      requests += 1
      if (requests === 2) request.socket.destroy()
      else response.end(`answer ${requests}`)
    })
    await using traffic = await serve(instance('a', app.port))
    assert.equal((await ask(traffic.port, HOST)).body, 'answer 1')
    assert.equal((await ask(traffic.port, HOST)).body, 'answer 3')
  })

  it('never repeats a request that may have had an effect', async () => {
    let requests = 0
    await using app = await startApp((request) => {
      requests += 1
      request.socket.destroy()
    })
    await using traffic = await serve(instance('a', app.port))
    assert.equal((await ask(traffic.port, HOST, '/', { method: 'POST', body: 'x' })).status, 502)
    assert.equal((await ask(traffic.port, HOST, '/', { method: 'POST' })).status, 502)
    assert.equal(requests, 2)
  })

  it('answers 502 when nothing listens, 504 when the app is silent, and counts both', async () => {
    const app = await startApp(() => {})
    await using traffic = await serve(instance('a', app.port), { limits: { appHeadMs: 50 } })
    assert.equal((await ask(traffic.port, HOST)).status, 504)
    await app[Symbol.asyncDispose]()
    const answer = await ask(traffic.port, HOST)
    assert.equal(answer.status, 502)
    assert.match(answer.body, /The app did not answer/)
    const stats = await traffic.client.stats()
    assert.equal(stats.upstreamErrors, 2)
    assert.equal(stats.requests['5xx'], 2)
    assert.ok(stats.bytesSent > 0)
  })

  it('D-18 gives a neighbour who holds the port of an app neither requests nor its answer', async () => {
    let asked = 0
    await using neighbour = await startApp((_, response) => {
      asked += 1
      response.end('phish')
    })
    const owner = { uid: 4242 }
    await using traffic = await serve(instance('a', neighbour.port, 4243), {
      listeningUid: async () => owner.uid,
    })
    const answer = await ask(traffic.port, HOST)
    assert.equal(answer.status, 502)
    assert.doesNotMatch(answer.body, /phish/)
    const upgrade = await askRaw(
      traffic.port,
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    assert.match(upgrade, /^HTTP\/1.1 502/)
    assert.equal(asked, 0)
    owner.uid = 4243
    assert.equal((await ask(traffic.port, HOST)).status, 200)
  })
})
