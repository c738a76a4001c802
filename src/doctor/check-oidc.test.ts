import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'

import { checkOidc } from './check-oidc.ts'

const PUBLIC = 'https://nanoscale.example.com'

interface Answer {
  status?: number
  body: string
}

/** A provider that answers its metadata so. */
async function startMetadata(answer: (issuer: string) => Answer) {
  const server = createServer((request, response) => {
    const { status = 200, body } = answer(issuer)
    const isThere = request.url === '/realms/team/.well-known/openid-configuration'
    response.writeHead(isThere ? status : 404, { location: 'https://evil.example/' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/realms/team`
  return {
    issuer,
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

const judge = async (issuer: string) =>
  (await checkOidc({ oidcIssuer: issuer, publicBaseUrl: PUBLIC }))[0]

describe('checkOidc()', () => {
  it('says nothing when no provider is configured', async () => {
    assert.deepEqual(await checkOidc({ oidcIssuer: null, publicBaseUrl: PUBLIC }), [])
  })

  it('tells the redirect URI of a provider that answers', async () => {
    await using provider = await startMetadata((issuer) => ({ body: JSON.stringify({ issuer }) }))
    const finding = await judge(provider.issuer)
    assert.equal(finding?.status, 'ok')
    assert.match(finding.message, /https:\/\/nanoscale\.example\.com\/api\/auth\/callback\/oidc$/)
  })

  it('names the issuer that the provider gives itself', async () => {
    const body = JSON.stringify({ issuer: 'https://id.example.com/realms/other' })
    await using provider = await startMetadata(() => ({ body }))
    const finding = await judge(provider.issuer)
    assert.equal(finding?.status, 'warning')
    assert.equal(finding.fix, 'Set NANOSCALE_OIDC_ISSUER to https://id.example.com/realms/other')
  })

  const unusable: Record<string, [Answer, RegExp]> = {
    redirects: [{ status: 302, body: '' }, /status 302/],
    'is broken': [{ status: 500, body: 'no' }, /status 500/],
    'sends no JSON': [{ body: '<html>' }, /JSON/],
    'sends something else': [{ body: '[]' }, /does not tell its issuer/],
    'sends no address': [{ body: '{"issuer":"nobody"}' }, /does not tell its issuer/],
    'sends without end': [{ body: `"${'a'.repeat(2_000_000)}"` }, /no end/],
  }
  for (const [how, [answer, reason]] of Object.entries(unusable)) {
    it(`warns of one that ${how}`, async () => {
      await using provider = await startMetadata(() => answer)
      const finding = await judge(provider.issuer)
      assert.equal(finding?.status, 'warning')
      assert.match(finding.message, reason)
    })
  }

  it('warns of one that is not there', async () => {
    const { issuer, [Symbol.asyncDispose]: stop } = await startMetadata(() => ({ body: '' }))
    await stop()
    assert.match((await judge(issuer))?.message ?? '', /ECONNREFUSED/)
  })
})
