import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeProcesses } from './process-specs.ts'

const OPTIONS = {
  dataDirectory: '/data',
  program: '/data/program/abc',
  isCopy: true,
  nodePath: '/root/node',
  env: { PATH: '/bin', NANOSCALE_PORT: '4000', NODE_CHANNEL_FD: '3', SECRET: 'x' },
}

describe('describeProcesses()', () => {
  it('runs a copy of the program with the copied Node', () => {
    const { control } = describeProcesses(OPTIONS)
    assert.equal(control.argv[0], '/data/toolchain/bin/node')
    assert.deepEqual(control.argv.slice(-2), ['/data/program/abc/src/main.ts', 'control'])
  })

  it('runs the checkout with the Node that runs us', () => {
    const options = { ...OPTIONS, program: '/src', isCopy: false }
    assert.equal(describeProcesses(options).traffic.argv[0], '/root/node')
  })

  it('passes on the settings, names the data directory, and nothing that is not theirs', () => {
    const { traffic } = describeProcesses(OPTIONS)
    assert.deepEqual(Object.keys(traffic.env).sort(), [
      'HOME',
      'NANOSCALE_DATA_DIR',
      'NANOSCALE_PORT',
      'NODE_COMPILE_CACHE',
      'PATH',
    ])
  })
})
