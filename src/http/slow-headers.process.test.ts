import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { testApp } from './_test-app.ts'
import { createHttpServers } from './create-http-servers.ts'

describeOnBothEngines('createHttpServers(), against slow senders', (open) => {
  it('W-12 closes connections whose headers do not come within 15 s', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await mkdir(join(test.app.config.dataDirectory, 'run'), { recursive: true })
    await using servers = await createHttpServers(test.app)
    const started = Date.now()
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(servers.port, '127.0.0.1')
      socket.on('data', () => {})
      socket.write('POST /hooks/app-hook HTTP/1.1\r\nhost: x\r\nx-slow: ')
      return socket
    })
    const closed = Promise.all(sockets.map((socket) => once(socket, 'close')))
    const healthy = await fetch(`http://127.0.0.1:${servers.port}/healthz`)
    assert.equal(healthy.status, 200)
    await closed
    assert.ok(Date.now() - started < 15_000)
  })
})
