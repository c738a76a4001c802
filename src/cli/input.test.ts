import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CliError } from './cli-error.ts'
import { parseTarget } from './commands/deployments.ts'
import { chooseConnection } from './connection.ts'
import { parseEvents } from './parse-events.ts'
import { parseAssignments } from './variables-input.ts'

describe('chooseConnection()', () => {
  const host = { uid: 1000, homeDirectory: '/home/ann' }

  it('takes the socket of this machine unless a URL is given', () => {
    assert.deepEqual(chooseConnection({}, {}, host), {
      kind: 'operator',
      socket: '/home/ann/.local/share/nanoscale/run/operator.sock',
      organization: null,
    })
    const root = chooseConnection({ org: 'acme' }, {}, { ...host, uid: 0 })
    assert.equal(root.kind === 'operator' && root.socket, '/var/lib/nanoscale/run/operator.sock')
    const given = chooseConnection({}, { NANOSCALE_DATA_DIR: '/data' }, host)
    assert.equal(given.kind === 'operator' && given.socket, '/data/run/operator.sock')
  })

  it('prefers options to variables, and asks for a token', () => {
    const env = { NANOSCALE_URL: 'https://a.example.com', NANOSCALE_TOKEN: 'nsk_a' }
    const connection = chooseConnection({ url: 'https://b.example.com' }, env, host)
    assert.equal(connection.kind === 'network' && connection.url.host, 'b.example.com')
    assert.throws(() => chooseConnection({ url: 'https://b.example.com' }, {}, host), CliError)
    assert.throws(() => chooseConnection({ url: 'ftp://b', token: 'x' }, {}, host), CliError)
  })
})

describe('parseAssignments()', () => {
  it('splits at the first equals sign and never repeats a value in its error', () => {
    assert.deepEqual(parseAssignments(['A=b=c', 'B=']), [
      { name: 'A', value: 'b=c' },
      { name: 'B', value: '' },
    ])
    assert.throws(
      () => parseAssignments(['s3cret']),
      (error: CliError) => error.exitCode === 2 && !error.message.includes('s3cret'),
    )
  })
})

describe('parseTarget()', () => {
  it('reads a number with and without its sign, else an id', () => {
    assert.deepEqual(parseTarget('#3'), { number: 3 })
    assert.deepEqual(parseTarget('3'), { number: 3 })
    assert.deepEqual(parseTarget('0199-a'), { deployment_id: '0199-a' })
  })
})

describe('parseEvents()', () => {
  it('reads events however they are cut, and skips comments', async () => {
    const bytes = new TextEncoder().encode(
      'retry: 1\n\n: still here\n\nid: 7\nevent: log\ndata: {"text":"ä"}\n\ndata: 1\n\n',
    )
    async function* byByte() {
      for (const byte of bytes) yield await Promise.resolve(Uint8Array.of(byte))
    }
    assert.deepEqual(await Array.fromAsync(parseEvents(byByte())), [
      { id: '7', event: 'log', data: { text: 'ä' } },
      { id: undefined, event: 'message', data: 1 },
    ])
  })
})
