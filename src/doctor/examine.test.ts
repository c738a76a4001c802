import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { clock, openInstance } from '../../test/_instance.ts'
import { loadConfig, type Environment } from '../config/config.ts'
import { checkDatabase, judgePostgresDurability, judgeSqliteDurability } from './check-database.ts'
import { checkDataDirectory } from './check-directory.ts'
import { checkClock, checkPlatform, judgeDisk, judgeIsolation } from './check-host.ts'
import { checkKeyring } from './check-keyring.ts'
import { checkPort } from './check-ports.ts'
import { checkAddresses, examine } from './examine.ts'
import { checkGit, judgeGitVersion } from './git-version.ts'

const GIB = 2 ** 30
const config = (env: Environment) => loadConfig(env, { uid: 1000, homeDirectory: '/home/ada' })

describe('judgeIsolation()', () => {
  it('warns only where nothing separates apps, and says what forbids it', () => {
    const facts = { allowUnisolated: false, refusal: 'sysctl user.max_user_namespaces is 0' }
    assert.equal(judgeIsolation('users', facts).status, 'ok')
    assert.equal(judgeIsolation('namespaces', facts).status, 'ok')
    const finding = judgeIsolation('none', facts)
    assert.equal(finding.status, 'warning')
    assert.match(JSON.stringify(finding), /max_user_namespaces is 0.*can read the keys/)
  })
})

describe('judgeGitVersion()', () => {
  it('G-21 warns below the minimum of each minor version', () => {
    const status = (version: string) => judgeGitVersion(`git version ${version}\n`).status
    for (const good of [
      '2.43.7',
      '2.45.4',
      '2.49.1',
      '2.50.1',
      '2.51.0',
      '2.47.3.windows.1',
      '3.0.0',
    ]) {
      assert.equal(status(good), 'ok', good)
    }
    for (const bad of ['2.39.5', '2.43.6', '2.49.0', '2.50.0', 'unknown']) {
      assert.equal(status(bad), 'warning', bad)
    }
    for (const old of ['2.37.9', '2.25.1', '1.9.1']) assert.equal(status(old), 'failed', old)
  })

  it('G-21 fails when there is no git', async () => {
    assert.equal((await checkGit('/nowhere')).status, 'failed')
    assert.notEqual((await checkGit(process.env['PATH'] ?? '')).status, 'failed')
  })
})

describe('checks of the machine', () => {
  it('judge disk, clock and versions', () => {
    const disk = (freeBytes: number, freeFiles = 1e6) =>
      judgeDisk({ freeBytes, totalBytes: 100 * GIB, freeFiles }).status
    assert.deepEqual(
      [disk(0), disk(GIB), disk(9 * GIB), disk(9 * GIB, 5)],
      ['failed', 'warning', 'ok', 'failed'],
    )
    assert.equal(checkClock({ now: () => 0 }).status, 'failed')
    assert.equal(checkClock({ now: () => Date.UTC(2027) }).status, 'ok')
    assert.deepEqual(
      checkPlatform('linux', '26.1.0').map(({ status }) => status),
      ['ok', 'ok'],
    )
    assert.deepEqual(
      checkPlatform('win32', '22.1.0').map(({ status }) => status),
      ['failed', 'failed'],
    )
  })

  it('tell a port that is ours from one that another program has', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const facts = { check: 'api_port', setting: 'NANOSCALE_PORT', bind: '127.0.0.1', port }
    assert.equal((await checkPort({ ...facts, ours: true })).status, 'ok')
    assert.match((await checkPort({ ...facts, ours: false })).message, /another program/)
    server.close()
    await once(server, 'close')
    assert.match((await checkPort({ ...facts, ours: false })).message, /is free/)
    assert.equal((await checkPort({ ...facts, bind: '203.0.113.1', ours: false })).status, 'failed')
  })
})

describe('checkDataDirectory()', () => {
  const root = mkdtempSync(join(tmpdir(), 'nanoscale-doctor-'))
  after(() => rmSync(root, { recursive: true, force: true }))

  it('finds directories that are closed to apps or open to everybody', async () => {
    const data = join(root, 'data')
    chmodSync(root, 0o755)
    assert.equal((await checkDataDirectory(data, 0)).status, 'warning')
    mkdirSync(join(data, 'keys'), { recursive: true, mode: 0o755 })
    assert.match((await checkDataDirectory(data, 0)).fix ?? '', /^Run: chmod 700 .*\/keys$/)
    chmodSync(join(data, 'keys'), 0o700)
    assert.equal((await checkDataDirectory(data, 0)).status, 'ok')
    chmodSync(root, 0o700)
    assert.match((await checkDataDirectory(data, 0)).message, /may not pass through/)
    assert.equal((await checkDataDirectory(data, 1000)).status, 'ok')
  })
})

describe('checkAddresses()', () => {
  it('warns when the API is open and its address is this machine', () => {
    const statuses = (env: Environment) => checkAddresses(config(env)).map(({ status }) => status)
    assert.deepEqual(statuses({}), ['ok'])
    assert.deepEqual(statuses({ NANOSCALE_BIND: '0.0.0.0' }), ['warning'])
    assert.deepEqual(
      statuses({ NANOSCALE_BIND: '::', NANOSCALE_PUBLIC_BASE_URL: 'https://n.example.com' }),
      ['ok'],
    )
    assert.deepEqual(statuses({ NANOSCALE_PORT: 'tcp://10.0.0.1:1' }), ['ok', 'warning'])
  })
})

describe('durability', () => {
  it('is judged by what the engines say', () => {
    assert.equal(judgeSqliteDurability('wal', '2').status, 'ok')
    assert.equal(judgeSqliteDurability('delete', '2').status, 'failed')
    assert.equal(judgeSqliteDurability('wal', '1').status, 'failed')
    assert.equal(judgePostgresDurability('off', 'on').status, 'failed')
    assert.equal(judgePostgresDurability('on', 'off').status, 'warning')
    assert.equal(judgePostgresDurability('on', 'remote_apply').status, 'ok')
  })
})

describeOnBothEngines('checkDatabase()', (open) => {
  it('asks the engine, and says when it does not answer', async () => {
    await using test = await open()
    const findings = await checkDatabase(test.db, test.engine)
    // The PostgreSQL of the tests runs without fsync, which the doctor must see.
    const expected = test.engine === 'sqlite' ? ['ok', 'ok'] : ['ok', 'failed']
    assert.deepEqual(
      findings.map(({ status }) => status),
      expected,
    )
    const wrong = await checkDatabase(test.db, test.engine === 'sqlite' ? 'postgres' : 'sqlite')
    assert.match(wrong[0]?.message ?? '', /does not answer/)
  })
})

describeOnBothEngines('checkKeyring()', (open) => {
  it('knows a first start from a lost or another keyring', async () => {
    await using test = await open()
    const missing = { encryptionKeys: null, dataDirectory: '/nowhere/at/all' }
    assert.equal((await checkKeyring(missing, test.db)).status, 'warning')
    await using instance = await openInstance(test.db)
    const settings = { encryptionKeys: null, dataDirectory: instance.dataDirectory }
    assert.equal((await checkKeyring(settings, test.db)).status, 'ok')
    assert.equal((await checkKeyring(missing, test.db)).status, 'failed')
    await test.db.updateTable('encryption_keys').set({ canary_sealed: 'v1.k1.x' }).execute()
    assert.match((await checkKeyring(settings, test.db)).message, /is not the key of that name/)
  })
})

describeOnBothEngines('examine()', (open) => {
  it('gives a fix with everything that is not well', async () => {
    await using test = await open()
    await using instance = await openInstance(test.db)
    const findings = await examine({
      config: config({ NANOSCALE_DATA_DIR: instance.dataDirectory }),
      clock,
      db: test.db,
      startedAsUid: 1000,
      serving: { api: false, traffic: false },
      path: process.env['PATH'] ?? '',
    })
    for (const { check, status, fix } of findings)
      assert.equal(fix === null, status === 'ok', check)
    const names = findings.map(({ check }) => check)
    for (const name of [
      'node',
      'clock',
      'api_port',
      'traffic_port',
      'data_directory',
      'disk',
      'isolation',
      'git',
      'keyring',
    ]) {
      assert.equal(names.filter((other) => other === name).length, 1, name)
    }
  })
})
