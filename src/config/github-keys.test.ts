import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { inspect } from 'node:util'

import { isOperationError } from '../lib/errors.ts'
import { loadConfig, type Environment } from './config.ts'
import { readGithubApp } from './github-app.ts'
import { secretsOf } from './secrets-of.ts'

const directory = mkdtempSync(join(tmpdir(), 'github-keys-'))
after(() => rmSync(directory, { recursive: true }))

function createPem(type: 'pkcs1' | 'pkcs8' = 'pkcs1'): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type, format: 'pem' })
}

const PEM = createPem()
const PATH = join(directory, 'app.pem')
writeFileSync(PATH, PEM)

const APP = {
  NANOSCALE_GITHUB_APP_ID: '123456',
  NANOSCALE_GITHUB_APP_CLIENT_ID: 'Iv23li',
  NANOSCALE_GITHUB_APP_CLIENT_SECRET: 'client-secret',
  NANOSCALE_GITHUB_APP_PRIVATE_KEY_PATH: PATH,
  NANOSCALE_GITHUB_WEBHOOK_SECRET: 'webhook-secret',
}

const load = (env: Environment) => loadConfig(env, { uid: 1000, homeDirectory: '/home/ada' })

function problemsOf(env: Environment): Readonly<Record<string, readonly string[]>> {
  try {
    load(env)
    return {}
  } catch (error) {
    assert.ok(isOperationError(error, 'config.invalid'))
    return error.details ?? {}
  }
}

describe('settings of the GitHub App', () => {
  it('are off by default', () => {
    assert.equal(readGithubApp(load({})), null)
    assert.equal(load({}).githubApiUrl, 'https://api.github.com')
  })

  it('are the App when all are set, with the key in a file or inline', () => {
    const app = readGithubApp(load(APP))
    assert.equal(app?.appId, 123_456)
    assert.equal(app?.privateKeys[0]?.reveal(), PEM)
    assert.equal(app?.apiUrl, 'https://api.github.com')
    const { NANOSCALE_GITHUB_APP_PRIVATE_KEY_PATH: _path, ...rest } = APP
    for (const pem of [PEM, PEM.replaceAll('\n', '\\n'), createPem('pkcs8')]) {
      const inline = readGithubApp(load({ ...rest, NANOSCALE_GITHUB_APP_PRIVATE_KEY: pem }))
      assert.equal(inline?.privateKeys[0]?.reveal(), pem.replaceAll('\\n', '\n'))
    }
  })

  it('take several private keys while they are rotated', () => {
    const path = join(directory, 'both.pem')
    const old = createPem('pkcs8')
    writeFileSync(path, `${PEM}${old}`)
    const app = readGithubApp(load({ ...APP, NANOSCALE_GITHUB_APP_PRIVATE_KEY_PATH: path }))
    assert.deepEqual(
      app?.privateKeys.map((key) => key.reveal()),
      [PEM, old],
    )
  })

  it('name each one that is missing as soon as one is set', () => {
    for (const name of Object.keys(APP)) {
      const alone = { [name]: APP[name as keyof typeof APP] }
      const others = Object.keys(APP).filter((other) => other !== name)
      const problems = problemsOf(alone)
      assert.deepEqual(Object.keys(problems).toSorted(), others.toSorted())
      for (const other of others) {
        assert.match(problems[other]?.[0] ?? '', new RegExp(`^is missing.*: ${name} is set`))
      }
      assert.deepEqual(Object.keys(problemsOf({ ...APP, [name]: '' })), [name])
    }
  })

  it('refuse two private keys, and one that cannot be read or is none', () => {
    const both = { ...APP, NANOSCALE_GITHUB_APP_PRIVATE_KEY: PEM }
    assert.deepEqual(Object.keys(problemsOf(both)), ['NANOSCALE_GITHUB_APP_PRIVATE_KEY'])
    const { privateKey } = generateKeyPairSync('ed25519')
    const other = join(directory, 'other.pem')
    writeFileSync(other, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    const name = 'NANOSCALE_GITHUB_APP_PRIVATE_KEY_PATH'
    const wrong = {
      [join(directory, 'none.pem')]: /cannot be read \(ENOENT\)/,
      [directory]: /is no file/,
      [other]: /without an RSA private key/,
      'app.pem': /absolute path/,
    }
    for (const [path, reason] of Object.entries(wrong)) {
      const problems = problemsOf({ ...APP, [name]: path })
      assert.deepEqual(Object.keys(problems), [name])
      assert.match(problems[name]?.[0] ?? '', reason)
    }
    const inline = 'NANOSCALE_GITHUB_APP_PRIVATE_KEY'
    assert.match(
      problemsOf({ [inline]: 'sesame' })[inline]?.[0] ?? '',
      /must be an RSA private key/,
    )
  })

  it('derive the API from the website, and refuse one that belongs to another', () => {
    const web = 'NANOSCALE_GITHUB_WEB_URL'
    const api = 'NANOSCALE_GITHUB_API_URL'
    const derived = {
      'https://github.example.com': 'https://github.example.com/api/v3',
      'https://acme.ghe.com': 'https://api.acme.ghe.com',
      'http://127.0.0.1:4100': 'http://127.0.0.1:4100/api/v3',
    }
    for (const [url, expected] of Object.entries(derived)) {
      assert.equal(load({ [web]: url }).githubApiUrl, expected)
      assert.deepEqual(problemsOf({ [web]: url, [api]: `${expected}/` }), {})
    }
    assert.match(
      problemsOf({ [api]: 'https://github.example.com/api/v3' })[api]?.[0] ?? '',
      /NANOSCALE_GITHUB_WEB_URL/,
    )
    for (const url of ['ftp://x', 'https://a:b@github.com', 'https://api.github.com?x']) {
      assert.deepEqual(Object.keys(problemsOf({ [api]: url })), [api])
    }
  })

  it('insist on https outside loopback, and on a host that may be reached', () => {
    const web = 'NANOSCALE_GITHUB_WEB_URL'
    assert.deepEqual(Object.keys(problemsOf({ [web]: 'http://github.example.com' })), [
      web,
      'NANOSCALE_GITHUB_API_URL',
    ])
    const server = { ...APP, [web]: 'https://github.example.com' }
    assert.deepEqual(Object.keys(problemsOf(server)), ['NANOSCALE_GIT_HOSTS'])
    for (const host of ['github.example.com', 'github.example.com:443@private']) {
      assert.deepEqual(problemsOf({ ...server, NANOSCALE_GIT_HOSTS: host }), {})
    }
  })

  it('take App ids exactly', () => {
    const name = 'NANOSCALE_GITHUB_APP_ID'
    for (const id of ['0', '-1', '1.5', '9007199254740993', 'Iv23li']) {
      assert.deepEqual(Object.keys(problemsOf({ ...APP, [name]: id })), [name])
    }
  })

  it('are among what is kept out of logs', () => {
    const secrets = secretsOf(load(APP))
    for (const value of ['client-secret', 'webhook-secret', PEM]) assert.ok(secrets.includes(value))
  })

  it('are never printed where they are secret', () => {
    assert.doesNotMatch(inspect(load(APP), { depth: 5 }), /client-secret|webhook-secret/)
  })
})
