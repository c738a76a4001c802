import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'

import { chooseFreePort } from './free-port.ts'
import { listeningUid, socketsInTable } from './socket-owner.ts'

async function listen(host: string): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

describe('listeningUid()', () => {
  it('finds who answers on the loopback address', async () => {
    await using loopback = await listen('127.0.0.1')
    await using everywhere = await listen('0.0.0.0')
    assert.equal(await listeningUid(loopback.port), process.getuid?.())
    assert.equal(await listeningUid(everywhere.port), process.getuid?.())
  })

  it('finds nobody where nobody listens there', async () => {
    await using elsewhere = await listen('127.0.0.2')
    assert.equal(await listeningUid(elsewhere.port), null)
    assert.equal(await listeningUid(await chooseFreePort()), null)
  })
})

describe('socketsInTable()', () => {
  it('reads listening sockets of the port and address alone', () => {
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1 1',
      '   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1002        0 2 1',
      '   2: 0200007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 3 1',
      '   3: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1004        0 4 1',
      '',
    ].join('\n')
    assert.deepEqual(socketsInTable(table, 8080, new Set(['0100007F'])), [
      { uid: 1001, inode: '1' },
    ])
  })
})

describe('chooseFreePort()', () => {
  it('passes over ports in use and gives up in the end', async () => {
    await using taken = await listen('127.0.0.1')
    const free = await chooseFreePort()
    const choices = [taken.port, free]
    assert.equal(await chooseFreePort({ choose: () => choices.shift() ?? 0 }), free)
    const isTaken = (port: number) => port === free
    await assert.rejects(chooseFreePort({ isTaken, choose: () => free }), /all in use/)
    await assert.rejects(chooseFreePort({ choose: () => taken.port }), /all in use/)
  })
})
