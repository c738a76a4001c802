import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'

import { createDemoBrowser } from './demo-browser.ts'

describe('createDemoBrowser()', () => {
  it('sends a cookie back until it was taken away, and says where it comes from', async () => {
    const seen: (string | undefined)[] = []
    const answers = ['session=a=b; Path=/; HttpOnly', 'other=1', 'session=; Max-Age=0', 'last=1']
    await using server = await serve((request, response) => {
      seen.push(`${request.headers.origin} ${request.headers.cookie ?? ''}`.trim())
      response.setHeader('set-cookie', answers.shift() ?? '').end()
    })
    const browser = createDemoBrowser(server.origin)
    for (let count = 0; count < 4; count++) await browser.open(`${server.origin}/`)
    assert.deepEqual(
      seen,
      ['', ' session=a=b', ' session=a=b; other=1', ' other=1'].map(
        (cookies) => server.origin + cookies,
      ),
    )
  })

  it('asks a route with a query, and follows no redirection by itself', async () => {
    const lines: (string | undefined)[] = []
    await using server = await serve((request, response) => {
      lines.push(`${request.method} ${request.url}`)
      if (request.url === '/link') response.writeHead(303, { location: '/next' })
      response.end('{"items":[]}')
    })
    const browser = createDemoBrowser(server.origin)
    const answer = await browser.call('github.repos', { query: { installation_id: 7 } })
    assert.deepEqual(answer.items, [])
    assert.equal(await browser.open(`${server.origin}/link`), '/next')
    assert.deepEqual(lines, ['GET /api/integrations/github/repos?installation_id=7', 'GET /link'])
  })

  it('throws what was refused, without the query', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(403).end('No')
    })
    const browser = createDemoBrowser(server.origin)
    await assert.rejects(browser.open(`${server.origin}/callback?code=secret`), {
      message: 'GET /callback answered 403: No',
    })
  })
})

async function serve(listener: RequestListener): Promise<{ origin: string } & AsyncDisposable> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}
