import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { startGitHost } from '../_git-host.ts'
import { startPlatform } from './_platform.ts'
import { createProject } from './_project.ts'

const LONG_SCRIPT = `console.log('hello')\n`.repeat(500)

describe('static site', () => {
  it('is served with validators, ranges, compression and its own 404 page', async () => {
    await using host = await startGitHost()
    const repository = await host.createRepository('site', {
      'index.html': '<!doctype html><title>Site</title>',
      '404.html': '<!doctype html><title>Nothing here</title>',
      'deep/index.html': 'deep',
      'script.js': LONG_SCRIPT,
    })
    await using platform = await startPlatform({ gitHostPort: host.port })
    const site = await createProject(platform, { name: 'site', repository })
    await site.waitForLive(await repository.head())

    const home = await platform.get(site.hostname, '/')
    assert.equal(home.status, 200)
    assert.match(home.headers['content-type'] ?? '', /^text\/html/)
    assert.match(home.text, /<title>Site/)

    const etag = home.headers.etag
    assert.ok(etag)
    const unchanged = await platform.get(site.hostname, '/', { 'if-none-match': etag })
    assert.equal(unchanged.status, 304)
    assert.equal(unchanged.text, '')

    const part = await platform.get(site.hostname, '/script.js', { range: 'bytes=0-6' })
    assert.equal(part.status, 206)
    assert.equal(part.text, 'console')

    const packed = await platform.get(site.hostname, '/script.js', { 'accept-encoding': 'gzip' })
    assert.equal(packed.headers['content-encoding'], 'gzip')
    assert.equal(gunzipSync(packed.body).toString(), LONG_SCRIPT)

    const missing = await platform.get(site.hostname, '/missing')
    assert.equal(missing.status, 404)
    assert.match(missing.text, /Nothing here/)
    assert.equal((await platform.get(site.hostname, '/deep/')).text, 'deep')
    for (const escape of ['/../../../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/.git/config']) {
      const { status } = await platform.get(site.hostname, escape)
      assert.ok(status === 400 || status === 404, `${escape} answered ${status}`)
    }

    const next = await repository.push({ 'index.html': '<title>Changed</title>' })
    await site.reconcile()
    await site.waitForLive(next)
    const changed = await platform.get(site.hostname, '/', { 'if-none-match': etag })
    assert.equal(changed.status, 200, 'the validator of the old page does not hold for the new one')
    assert.match(changed.text, /Changed/)
    await platform.stopAll()
  })
})
