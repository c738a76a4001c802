import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { inspect } from 'node:util'

import { isOperationError } from '../lib/errors.ts'
import { CONFIG_KEYS } from './config-keys.ts'
import { loadConfig, type Environment } from './config.ts'
import { describeConfig, listSettings } from './describe-config.ts'

const HOST = { uid: 1000, homeDirectory: '/home/ada' }
const load = (env: Environment) => loadConfig(env, HOST)

/** What is wrong, by name; empty when it loads. */
function problemsOf(env: Environment): Readonly<Record<string, readonly string[]>> {
  try {
    load(env)
    return {}
  } catch (error) {
    assert.ok(isOperationError(error, 'config.invalid'))
    return error.details ?? {}
  }
}

describe('loadConfig()', () => {
  it('needs nothing', () => {
    const config = load({ PATH: '/bin' })
    assert.equal(config.dataDirectory, '/home/ada/.local/share/nanoscale')
    assert.equal(config.publicBaseUrl, 'http://localhost:4000')
    assert.equal(config.trafficUrl, 'http://*.localhost:8080')
    assert.equal(config.trafficBind, '127.0.0.1')
    assert.deepEqual(config.database, {
      engine: 'sqlite',
      path: '/home/ada/.local/share/nanoscale/database/nanoscale.db',
    })
    assert.equal(config.encryptionKeys, null)
  })

  it('finds the data directory by who starts it', () => {
    assert.equal(loadConfig({}, { ...HOST, uid: 0 }).dataDirectory, '/var/lib/nanoscale')
    assert.equal(load({ XDG_DATA_HOME: '/data/' }).dataDirectory, '/data/nanoscale')
    assert.match(load({ XDG_DATA_HOME: 'relative' }).dataDirectory, /^\/home\/ada/)
    assert.equal(load({ NANOSCALE_DATA_DIR: '/srv/x/../nano/' }).dataDirectory, '/srv/nano')
  })

  it('derives addresses from ports and domain', () => {
    const config = load({
      NANOSCALE_PORT: '80',
      NANOSCALE_TRAFFIC_PORT: '80',
      NANOSCALE_TRAFFIC_BIND: '10.0.0.1',
      NANOSCALE_BASE_DOMAIN: 'Apps.Example.NET.',
    })
    assert.equal(config.trafficUrl, 'http://*.apps.example.net')
  })

  it('counts an empty value as not set', () => {
    assert.equal(load({ NANOSCALE_PORT: '', NANOSCALE_BIND: ' ' }).port, 4000)
  })

  it('names every wrong setting at once', () => {
    const problems = problemsOf({
      NANOSCALE_PORT: '99999',
      NANOSCALE_BIND: 'localhost',
      NANOSCALE_LOG_LEVEL: 'loud',
      NANOSCALE_BULD_TIMEOUT_SECONDS: '5',
      NANOSCALE_PUBLIC_BASE_URL: 'http://example.com',
    })
    assert.deepEqual(Object.keys(problems).sort(), [
      'NANOSCALE_BIND',
      'NANOSCALE_BULD_TIMEOUT_SECONDS',
      'NANOSCALE_LOG_LEVEL',
      'NANOSCALE_PORT',
      'NANOSCALE_PUBLIC_BASE_URL',
    ])
  })

  it('says the nearest name to an unknown one', () => {
    const hint = (name: string) => problemsOf({ [name]: 'x' })[name]?.[0] ?? ''
    assert.match(hint('NANOSCALE_PROT'), /did you mean NANOSCALE_PORT\?/)
    assert.match(hint('NANOSCALE_BASEDOMAIN'), /did you mean NANOSCALE_BASE_DOMAIN\?/)
    assert.match(hint('nanoscale_port'), /did you mean NANOSCALE_PORT\?/)
    assert.match(hint('NANOSCALE_QWERTZUIOP'), /`nanoscale config` lists them all/)
  })

  it('recognises what container platforms inject for a service of that name', () => {
    const injected = {
      NANOSCALE_PORT: 'tcp://10.96.0.1:4000',
      NANOSCALE_SERVICE_HOST: '10.96.0.1',
      NANOSCALE_SERVICE_PORT: '4000',
      NANOSCALE_SERVICE_PORT_HTTP: '4000',
      NANOSCALE_PORT_4000_TCP: 'tcp://10.96.0.1:4000',
      NANOSCALE_PORT_4000_TCP_ADDR: '10.96.0.1',
      NANOSCALE_PORT_4000_TCP_PORT: '4000',
      NANOSCALE_PORT_4000_TCP_PROTO: 'tcp',
      NANOSCALE_TRAFFIC_PORT: 'tcp://10.96.0.2:8080',
      NANOSCALE_TRAFFIC_SERVICE_HOST: '10.96.0.2',
    }
    const config = load(injected)
    assert.equal(config.port, 4000)
    assert.equal(config.trafficPort, 8080)
    assert.deepEqual(config.ignoredNames, Object.keys(injected))
  })

  it('wants https outside loopback', () => {
    for (const url of ['http://127.0.0.1:4000', 'http://[::1]:4000', 'http://a.localhost']) {
      assert.deepEqual(problemsOf({ NANOSCALE_PUBLIC_BASE_URL: url }), {}, url)
    }
    for (const url of [
      'http://10.0.0.1',
      'http://127.0.0.1.example.com',
      'http://localhost.example.com',
    ]) {
      assert.match(
        String(problemsOf({ NANOSCALE_PUBLIC_BASE_URL: url })['NANOSCALE_PUBLIC_BASE_URL']),
        /https/,
        url,
      )
    }
  })

  it('refuses a public address at, above or below the base domain', () => {
    const together = (host: string, domain: string) =>
      problemsOf({ NANOSCALE_PUBLIC_BASE_URL: `https://${host}`, NANOSCALE_BASE_DOMAIN: domain })
    for (const [host, domain] of [
      ['apps.example.com', 'apps.example.com'],
      ['example.com', 'apps.example.com'],
      ['nano.apps.example.com', 'apps.example.com'],
    ] as const) {
      assert.match(
        String(together(host, domain)['NANOSCALE_PUBLIC_BASE_URL']),
        /cookies/,
        `${host} ${domain}`,
      )
    }
    assert.deepEqual(together('nano.example.com', 'apps.example.com'), {})
    assert.deepEqual(together('myapps.example.com', 'apps.example.com'), {})
  })

  it('refuses a traffic address that is not about the base domain', () => {
    const problems = problemsOf({ NANOSCALE_TRAFFIC_URL: 'https://*.apps.example.com' })
    assert.match(
      String(problems['NANOSCALE_TRAFFIC_URL']),
      /set NANOSCALE_BASE_DOMAIN to apps\.example\.com/,
    )
    const url = 'https://*.apps.example.com:8443/'
    const env = { NANOSCALE_TRAFFIC_URL: url, NANOSCALE_BASE_DOMAIN: 'apps.example.com' }
    assert.equal(load(env).trafficUrl, 'https://*.apps.example.com:8443')
    for (const bad of [
      'https://apps.example.com',
      'https://*.*.example.com',
      'https://a*.example.com',
      'ftp://*.example.com',
      'https://*.example.com/x',
    ]) {
      assert.ok('NANOSCALE_TRAFFIC_URL' in problemsOf({ NANOSCALE_TRAFFIC_URL: bad }), bad)
    }
  })

  it('refuses one port for both', () => {
    assert.ok('NANOSCALE_TRAFFIC_PORT' in problemsOf({ NANOSCALE_PORT: '8080' }))
    assert.ok(
      'NANOSCALE_TRAFFIC_PORT' in
        problemsOf({ NANOSCALE_PORT: '8080', NANOSCALE_TRAFFIC_BIND: '0.0.0.0' }),
    )
  })

  it('reads Git hosts, networks, sizes and databases, and refuses what only looks like them', () => {
    const good: Environment = {
      NANOSCALE_GIT_HOSTS: 'GitHub.com, git.example.com:8443@private [::1]:3000@private,10.0.0.7',
      NANOSCALE_TRUSTED_PROXIES: '10.0.0.0/8 ::1, 192.168.0.1',
      NANOSCALE_BUILD_DISK_BYTES: '512M',
      NANOSCALE_DATABASE_URL: 'postgresql://u:p@h/db',
      NANOSCALE_ALLOW_UNISOLATED: 'true',
    }
    const config = load(good)
    assert.deepEqual(config.gitHosts, [
      'github.com',
      'git.example.com:8443@private',
      '[::1]:3000@private',
      '10.0.0.7',
    ])
    assert.equal(config.buildDiskBytes, 512 * 2 ** 20)
    assert.equal(config.database.engine, 'postgres')
    assert.equal(config.allowUnisolated, true)
    const wrong: [string, string][] = [
      ['NANOSCALE_GIT_HOSTS', 'https://github.com'],
      ['NANOSCALE_GIT_HOSTS', 'github.com:0'],
      ['NANOSCALE_GIT_HOSTS', 'github.com@public'],
      ['NANOSCALE_GIT_HOSTS', 'github.com, github.com'],
      ['NANOSCALE_GIT_HOSTS', '-x.example.com'],
      ['NANOSCALE_TRUSTED_PROXIES', '10.0.0.0/33'],
      ['NANOSCALE_TRUSTED_PROXIES', 'proxy.example.com'],
      ['NANOSCALE_BUILD_DISK_BYTES', '12X'],
      ['NANOSCALE_BUILD_DISK_BYTES', '10'],
      ['NANOSCALE_DATABASE_URL', 'mysql://h/db'],
      ['NANOSCALE_DATABASE_URL', 'sqlite:relative.db'],
      ['NANOSCALE_DATA_DIR', 'relative'],
      ['NANOSCALE_BASE_DOMAIN', '*.example.com'],
      ['NANOSCALE_BASE_DOMAIN', '10.0.0.1'],
      ['NANOSCALE_PUBLIC_BASE_URL', 'https://x.example.com/path'],
      ['NANOSCALE_PUBLIC_BASE_URL', 'https://u:p@x.example.com'],
      ['NANOSCALE_ALLOW_UNISOLATED', 'maybe'],
      ['NANOSCALE_CONCURRENT_BUILDS', '1.5'],
      ['NANOSCALE_RUNTIME', 'docker'],
    ]
    for (const [name, value] of wrong)
      assert.ok(name in problemsOf({ [name]: value }), `${name}=${value}`)
  })

  it('shows no secret anywhere', () => {
    const env = {
      NANOSCALE_ENCRYPTION_KEYS: 'k1:verysecretbase64',
      NANOSCALE_DATABASE_URL: 'postgres://u:verysecretpassword@h:5433/db?password=verysecret',
    }
    const config = load(env)
    const listed = listSettings(config, env)
    assert.ok(!JSON.stringify(listed).includes('verysecret'))
    assert.ok(!inspect(config.encryptionKeys).includes('verysecret'))
    assert.ok(listed.some(({ value }) => value === 'postgres://u:[secret]@h:5433/db'))
    assert.ok(
      !JSON.stringify(problemsOf({ NANOSCALE_DATABASE_URL: 'x:verysecret' })).includes(
        'verysecret',
      ),
    )
  })
})

describe('CONFIG_KEYS', () => {
  it('has an example for each key that its own parser accepts', () => {
    for (const key of Object.values(CONFIG_KEYS)) {
      const parsed: object = key.parse(key.example)
      assert.ok('value' in parsed, `${key.env}=${key.example}`)
    }
  })
})

describe('describeConfig()', () => {
  it('is what docs/configuration.md says (else run: nanoscale config --markdown > docs/configuration.md)', () => {
    const path = join(import.meta.dirname, '../../docs/configuration.md')
    assert.equal(readFileSync(path, 'utf8'), describeConfig())
  })
})
