import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ask, askRaw, HOST, instance, serve, startApp } from './_test-servers.ts'

describe('createTrafficServer()', () => {
  it('answers 404 for an unknown name, as page or JSON, naming nothing', async () => {
    await using traffic = await serve({ kind: 'unavailable', reason: 'never_deployed' })
    const page = await ask(traffic.port, 'other.localhost')
    assert.equal(page.status, 404)
    assert.match(page.headers['content-type'] ?? '', /text\/html/)
    assert.doesNotMatch(page.body, /other|shop/)
    const json = await ask(traffic.port, 'other.localhost', '/', {
      headers: { accept: 'application/json, */*' },
    })
    assert.equal(JSON.parse(json.body).error.code, 'traffic.no_route')
  })

  it('answers 503 with Retry-After while nothing of the project is live', async () => {
    await using traffic = await serve({ kind: 'unavailable', reason: 'starting' })
    const answer = await ask(traffic.port, HOST)
    assert.equal(answer.status, 503)
    assert.equal(answer.headers['retry-after'], '2')
    assert.match(answer.body, /starting/)
  })

  it('refuses what could be read as two requests or two hosts', async () => {
    let asked = 0
    await using app = await startApp((_, response) => {
      asked += 1
      response.end()
    })
    await using traffic = await serve(instance('a', app.port))
    const end = 'Connection: close\r\n\r\n'
    const cases = [
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n${end}0\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 5\r\nContent-Length: 6\r\n${end}hello!`,
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked, x\r\n${end}0\r\n\r\n`,
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding : chunked\r\n${end}0\r\n\r\n`,
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nHost: other\r\n${end}`,
      `GET http://other/ HTTP/1.1\r\nHost: ${HOST}\r\n${end}`,
      `GET / HTTP/1.1\r\n${end}`,
      `GET / HTTP/1.1\nHost: ${HOST}\n\n`,
    ]
    for (const bytes of cases) {
      assert.match(await askRaw(traffic.port, bytes), /^HTTP\/1.1 400/, bytes)
    }
    assert.equal(asked, 0)
  })

  it('ends a client that sends its head or its body too slowly, and one with a huge head', async () => {
    await using app = await startApp((request, response) => {
      request.resume().on('end', () => response.end())
    })
    await using traffic = await serve(instance('a', app.port), {
      limits: { clientHeadMs: 50, clientBodyIdleMs: 50 },
    })
    const slowHead = await askRaw(traffic.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n`)
    assert.match(slowHead, /^HTTP\/1.1 408/)
    const slowBody = await askRaw(
      traffic.port,
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 10\r\n\r\nabc`,
    )
    assert.match(slowBody, /^HTTP\/1.1 408/)
    const huge = await askRaw(
      traffic.port,
      `GET / HTTP/1.1\r\nHost: ${HOST}\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
    ).catch(() => 'HTTP/1.1 431')
    assert.match(huge, /^HTTP\/1.1 431/)
  })
})
