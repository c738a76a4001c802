import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeStart } from './start-banner.ts'

const CONFIG = {
  dataDirectory: '/var/lib/nanoscale',
  port: 4000,
  trafficPort: 8080,
  bind: '127.0.0.1',
  publicBaseUrl: 'http://localhost:4000',
  trafficUrl: 'http://*.localhost:8080',
}
const AROUND = {
  env: {},
  userName: 'ann',
  hostName: 'box',
  isolation: 'users',
  setupLink: null,
} as const

describe('describeStart()', () => {
  it('says where the API and the apps are and what to type next', () => {
    const text = describeStart(CONFIG, { ...AROUND, env: { DISPLAY: ':0' } })
    assert.match(text, /http:\/\/localhost:4000/)
    assert.match(text, /http:\/\/<name>\.localhost:8080/)
    assert.match(text, /\.\/nanoscale projects create/)
    assert.doesNotMatch(text, /ssh/)
  })

  it('shows the link by which the first person is made, while it is needed', () => {
    const setupLink = 'http://localhost:4000/setup#token=abc'
    assert.match(describeStart(CONFIG, { ...AROUND, setupLink }), /setup#token=abc/)
    assert.doesNotMatch(describeStart(CONFIG, AROUND), /owner/)
  })

  it('says when nothing separates apps', () => {
    assert.match(describeStart(CONFIG, { ...AROUND, isolation: 'none' }), /can read the keys/)
    assert.doesNotMatch(describeStart(CONFIG, AROUND), /can read the keys/)
  })

  it('prints the tunnel and the settings that make it reachable when there is no desktop', () => {
    const text = describeStart(CONFIG, AROUND)
    assert.match(text, /ssh -L 4000:127.0.0.1:4000 -L 8080:127.0.0.1:8080 ann@box/)
    assert.match(text, /NANOSCALE_PUBLIC_BASE_URL/)
  })

  it('takes the address and the port of the server from the SSH connection', () => {
    const env = { DISPLAY: ':0', SSH_CONNECTION: '198.51.100.7 50000 203.0.113.5 2222' }
    assert.match(describeStart(CONFIG, { ...AROUND, env }), /ssh -p 2222 .* ann@203\.0\.113\.5/)
  })

  it('prints no tunnel when it listens on the network', () => {
    assert.doesNotMatch(describeStart({ ...CONFIG, bind: '0.0.0.0' }, AROUND), /ssh/)
  })
})
