import assert from 'node:assert/strict'
import { mkdir, rename, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { brotliCompressSync, brotliDecompressSync, gunzipSync } from 'node:zlib'

import { ask, askRaw, listenOnFreePort, makeDirectory } from './_test-servers.ts'
import { serveStatic, type StaticTarget } from './static-files.ts'

const LARGE = '<p>hello</p>'.repeat(1000)

async function makeSite(files: Record<string, string | Buffer>) {
  const stack = new AsyncDisposableStack()
  const directory = stack.use(await makeDirectory())
  const root = join(directory.path, 'release')
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), content)
  }
  const target: StaticTarget = {
    kind: 'static',
    releaseId: 'r1',
    directory: root,
    singlePageApp: false,
  }
  const server = createServer((request, response) => void serveStatic(request, response, target))
  const port = await listenOnFreePort(server)
  stack.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    port,
    root,
    outside: directory.path,
    target,
    get: (path: string, headers: Record<string, string> = {}) =>
      ask(port, 'site', path, { headers }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

function getBytes(port: number, path: string, headers: Record<string, string>): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, headers, agent: false })
    request.once('response', (response) => {
      buffer(response).then(resolve, reject)
    })
    request.once('error', reject).end()
  })
}

describe('serveStatic()', () => {
  it('serves files, index pages and pages without their extension', async () => {
    await using site = await makeSite({
      'index.html': 'home',
      'about.html': 'about',
      'blog/index.html': 'blog',
      'ü b.txt': 'text',
    })
    const home = await site.get('/')
    assert.equal(home.body, 'home')
    assert.equal(home.headers['content-type'], 'text/html; charset=utf-8')
    assert.equal(home.headers['cache-control'], 'public, max-age=0, must-revalidate')
    assert.equal((await site.get('/about')).body, 'about')
    assert.equal((await site.get('/blog/')).body, 'blog')
    assert.equal((await site.get('/%C3%BC%20b.txt?x=1')).body, 'text')
    const redirect = await site.get('/blog?x=1')
    assert.equal(redirect.status, 301)
    assert.equal(redirect.headers.location, '/blog/?x=1')
  })

  it('reads only: other methods are refused, HEAD has no body', async () => {
    await using site = await makeSite({ 'index.html': 'home' })
    const post = await ask(site.port, 'site', '/', { method: 'POST', body: 'x' })
    assert.equal(post.status, 405)
    assert.equal(post.headers.allow, 'GET, HEAD')
    const head = await ask(site.port, 'site', '/', { method: 'HEAD' })
    assert.equal(head.headers['content-length'], '4')
    assert.equal(head.body, '')
  })

  it('validates by ETag and exact time, and never across releases', async () => {
    await using site = await makeSite({ 'a.txt': 'one' })
    const time = new Date('2020-01-01T00:00:00Z')
    await utimes(join(site.root, 'a.txt'), time, time)
    const first = await site.get('/a.txt')
    const etag = first.headers.etag ?? ''
    const modified = first.headers['last-modified'] ?? ''
    assert.equal((await site.get('/a.txt', { 'if-none-match': etag })).status, 304)
    assert.equal((await site.get('/a.txt', { 'if-modified-since': modified })).status, 304)
    // A newer copy in the client's cache is that of a release that was rolled back.
    const later = { 'if-modified-since': new Date().toUTCString() }
    assert.equal((await site.get('/a.txt', later)).status, 200)
    site.target.releaseId = 'r2'
    assert.equal((await site.get('/a.txt', { 'if-none-match': etag })).status, 200)
  })

  it('serves ranges, and the whole when If-Range names another release', async () => {
    await using site = await makeSite({ 'a.txt': '0123456789' })
    const part = await site.get('/a.txt', { range: 'bytes=2-4' })
    assert.equal(part.status, 206)
    assert.equal(part.body, '234')
    assert.equal(part.headers['content-range'], 'bytes 2-4/10')
    assert.equal((await site.get('/a.txt', { range: 'bytes=20-' })).status, 416)
    const etag = part.headers.etag ?? ''
    const same = await site.get('/a.txt', { range: 'bytes=0-0', 'if-range': etag })
    assert.equal(same.status, 206)
    site.target.releaseId = 'r2'
    const other = await site.get('/a.txt', { range: 'bytes=0-0', 'if-range': etag })
    assert.equal(other.status, 200)
  })

  it('compresses text on the way, and prefers what the build compressed', async () => {
    await using site = await makeSite({
      'index.html': LARGE,
      'app.js': LARGE,
      'app.js.br': brotliCompressSync('from the build'),
      'small.txt': 'x',
      'photo.png': LARGE,
    })
    const gzip = await getBytes(site.port, '/', { host: 's', 'accept-encoding': 'gzip, br;q=0' })
    assert.equal(gunzipSync(gzip).toString(), LARGE)
    const brotli = await getBytes(site.port, '/', { host: 's', 'accept-encoding': 'gzip, br' })
    assert.equal(brotliDecompressSync(brotli).toString(), LARGE)
    const stored = await getBytes(site.port, '/app.js', { host: 's', 'accept-encoding': 'br' })
    assert.equal(brotliDecompressSync(stored).toString(), 'from the build')
    const script = await site.get('/app.js', { 'accept-encoding': 'br' })
    assert.equal(script.headers['content-encoding'], 'br')
    assert.match(script.headers['content-type'] ?? '', /javascript/)
    assert.equal(script.headers['vary'], 'Accept-Encoding')
    for (const path of ['/small.txt', '/photo.png']) {
      const plain = await site.get(path, { 'accept-encoding': 'gzip, br' })
      assert.equal(plain.headers['content-encoding'], undefined, path)
    }
  })

  it('answers unknown paths with the site’s own 404 page, else ours', async () => {
    await using site = await makeSite({ 'index.html': 'home' })
    assert.match((await site.get('/no')).body, /no page at this address/)
    await writeFile(join(site.root, '404.html'), 'own page')
    const answer = await site.get('/no')
    assert.equal(answer.status, 404)
    assert.equal(answer.body, 'own page')
  })

  it('answers unknown pages of a single-page app with its index, unknown scripts with 404', async () => {
    await using site = await makeSite({ 'index.html': 'app' })
    site.target.singlePageApp = true
    const page = await site.get('/any/route', { accept: 'text/html,*/*' })
    assert.equal(page.status, 200)
    assert.equal(page.body, 'app')
    assert.equal((await site.get('/old.js', { accept: '*/*' })).status, 404)
  })

  it('hides dotfiles except .well-known, and lists no directory', async () => {
    await using site = await makeSite({
      '.env': 'SECRET=1',
      '.git/config': 'x',
      '.well-known/security.txt': 'contact',
      'files/a.txt': 'a',
    })
    for (const path of ['/.env', '/%2eenv', '/.git/config', '/files/', '/files', '/files/.a']) {
      assert.equal((await site.get(path)).status, 404, path)
    }
    assert.equal((await site.get('/.well-known/security.txt')).body, 'contact')
  })

  it('G-20 leaves the release by no spelling of a path', async () => {
    await using site = await makeSite({ 'a.txt': 'a', 'sub/b.txt': 'b' })
    await writeFile(join(site.outside, 'secret.txt'), 'secret')
    const paths = [
      '/../secret.txt',
      '/..%2fsecret.txt',
      '/%2e%2e/secret.txt',
      '/sub/..%2f..%2fsecret.txt',
      '/..%5csecret.txt',
      '/..\\secret.txt',
      '/a.txt%00',
      '/%00',
      '/..;/secret.txt',
      '//..//secret.txt',
      '/%c0%ae%c0%ae/secret.txt',
      '/%',
      '/./a.txt',
      '/a.txt%0d%0aX: 1',
    ]
    for (const path of paths) {
      const answer = await askRaw(
        site.port,
        `GET ${path} HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n`,
      )
      assert.match(answer, /^HTTP\/1.1 (?:400|404) /, path)
      assert.doesNotMatch(answer, /\r\n\r\nsecret/)
    }
    const redirect = await site.get('//evil.example/..')
    assert.equal(redirect.headers.location, undefined)
  })

  it('G-12 follows no symbolic link out of the release', async () => {
    await using site = await makeSite({ 'a.txt': 'a' })
    await writeFile(join(site.outside, 'secret.txt'), 'secret')
    await symlink(join(site.outside, 'secret.txt'), join(site.root, 'file.txt'))
    await symlink('/', join(site.root, 'all'))
    await symlink('file.txt', join(site.root, 'chain.txt'))
    await symlink('a.txt', join(site.root, 'inside.txt'))
    for (const path of ['/file.txt', '/chain.txt', '/all/etc/passwd', '/all/', '/all']) {
      assert.equal((await site.get(path)).status, 404, path)
    }
    assert.equal((await site.get('/inside.txt')).body, 'a')
  })

  it('answers 503 when the release is gone', async () => {
    await using site = await makeSite({ 'a.txt': 'a' })
    await rename(site.root, `${site.root}-gone`)
    assert.equal((await site.get('/a.txt')).status, 503)
  })
})
