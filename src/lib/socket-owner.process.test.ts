import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'

import { chooseFreePort } from './free-port.ts'
import { listeningUid } from './socket-owner.ts'

const LISTEN_ON_IPV6 = `
  const options = { host: '::', ipv6Only: true, port: Number(process.argv[1]) }
  require('node:net').createServer().listen(options, () => process.stdout.write('up'))`

const unlessRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: listens as another user' }

describe('listeningUid()', unlessRoot, () => {
  it('D-18 is not misled by a neighbour who listens for IPv6 alone', async () => {
    const port = await chooseFreePort()
    const app = createServer().listen(port, '127.0.0.1')
    await once(app, 'listening')
    const neighbour = spawn(process.execPath, ['--eval', LISTEN_ON_IPV6, String(port)], {
      cwd: '/',
      env: {},
      uid: 65_533,
      gid: 65_533,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    try {
      await once(neighbour.stdout, 'data', { signal: AbortSignal.timeout(5000) })
      assert.equal(await listeningUid(port), 0)
    } finally {
      neighbour.kill('SIGKILL')
      app.close()
    }
  })
})
