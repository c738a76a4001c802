import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'

import { createUnitListens } from './unit-sockets.ts'

const SERVER = `
const server = require('node:net').createServer()
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => server.close()).resume()`

/** A process of a unit whose child listens, as behind a package manager. */
async function openUnit(unit: string) {
  const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(SERVER)}], { env: {}, stdio: 'inherit' })`
  const child = spawn(process.execPath, ['-e', parent], {
    env: { NANOSCALE_UNIT: unit },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [port] = await once(child.stdout, 'data')
  return {
    port: Number(port),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await once(child, 'exit')
    },
  }
}

describe('createUnitListens()', () => {
  it('D-18 finds the unit whose processes hold the socket, each time', async () => {
    const unitListens = createUnitListens()
    await using app = await openUnit('app-one')
    assert.equal(await unitListens('app-one', app.port), true)
    assert.equal(await unitListens('app-one', app.port), true)
    assert.equal(await unitListens('app-two', app.port), false)
    assert.equal(await unitListens('app', app.port), false)
  })

  it('says no when nothing listens any more', async () => {
    const unitListens = createUnitListens()
    const app = await openUnit('app-one')
    assert.equal(await unitListens('app-one', app.port), true)
    await app[Symbol.asyncDispose]()
    assert.equal(await unitListens('app-one', app.port), false)
  })
})
