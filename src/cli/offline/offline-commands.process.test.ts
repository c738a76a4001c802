import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, describe, it } from 'node:test'

import { acquireLock } from '../../lib/lock-file.ts'

const PROGRAM = `
  import { Command } from 'commander'
  import { configCommand } from './config-command.ts'
  import { doctorCommand } from './doctor-command.ts'
  import { keysCommand } from './keys-command.ts'
  import { migrateCommand } from './migrate-command.ts'
  const program = new Command('nanoscale')
  for (const make of [configCommand, doctorCommand, keysCommand, migrateCommand]) program.addCommand(make())
  try { await program.parseAsync(process.argv.slice(1), { from: 'user' }) }
  catch (error) { console.error(error.code, error.message); process.exitCode = 2 }`

describe('offline commands', () => {
  const root = mkdtempSync(join(tmpdir(), 'nanoscale-offline-'))
  chmodSync(root, 0o755)
  after(() => rmSync(root, { recursive: true, force: true }))
  const dataDirectory = join(root, 'data')

  async function run(args: string[], env: Record<string, string> = {}) {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '--eval', PROGRAM, '--', ...args],
      {
        cwd: import.meta.dirname,
        env: { PATH: process.env['PATH'] ?? '', NANOSCALE_DATA_DIR: dataDirectory, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const [out, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ])
    return { out, errors, code }
  }

  it('make nothing where NanoScale was never started', async () => {
    const commands = [['keys'], ['keys', 'rotate'], ['migrate'], ['doctor']]
    const [status, rotate, migrate] = await Promise.all(commands.map((args) => run(args)))
    for (const result of [status, rotate, migrate]) {
      assert.equal(result?.code, 2)
      assert.match(result?.errors ?? '', /server\.never_started/)
    }
    assert.ok(!existsSync(dataDirectory))
  })

  it('migrate, rotate and retire keys while no server runs', async () => {
    for (const name of ['run', 'database', 'keys']) {
      mkdirSync(join(dataDirectory, name), { recursive: true, mode: 0o700 })
    }
    chmodSync(dataDirectory, 0o711)
    assert.match((await run(['migrate'])).out, /up 0001-projects\n/)
    assert.equal((await run(['migrate'])).out, 'There is nothing to migrate\n')
    assert.match((await run(['keys'])).out, /^k1 {2}seals/)
    assert.equal((await run(['keys', 'rotate'])).code, 0)
    assert.match((await run(['keys', 'retire', 'k2'])).errors, /keyring\.in_use/)
    assert.equal((await run(['keys', 'retire', 'k1'])).out, 'Key "k1" is retired\n')
    const { items } = JSON.parse((await run(['keys', 'status', '--json'])).out) as {
      items: { id: string; current: boolean }[]
    }
    assert.deepEqual(
      items.map(({ id, current }) => [id, current]),
      [
        ['k2', true],
        ['k1', false],
      ],
    )
  })

  const asRoot = process.getuid?.() === 0 ? {} : { skip: 'needs root: acts as another user' }
  it('as root follow no link of the user that owns the records', asRoot, async () => {
    const other = join(root, 'other')
    const [owner, kept] = [65_533, join(root, 'kept')]
    writeFileSync(kept, '')
    for (const name of ['run', 'database', 'keys']) {
      mkdirSync(join(other, name), { recursive: true, mode: 0o700 })
      chownSync(join(other, name), owner, owner)
    }
    chmodSync(other, 0o711)
    symlinkSync(kept, join(other, 'run', 'control.lock'))
    symlinkSync(kept, join(other, 'database', 'nanoscale.db'))
    symlinkSync(join(root, 'new'), join(other, 'database', 'nanoscale.db-wal'))
    const env = { NANOSCALE_DATA_DIR: other }
    for (const args of [['migrate'], ['keys', 'rotate'], ['doctor']]) {
      assert.notEqual((await run(args, env)).code, 0, args.join(' '))
    }
    const { uid, size } = statSync(kept)
    assert.deepEqual([uid, size, existsSync(join(root, 'new'))], [0, 0, false])
    rmSync(join(other, 'run', 'control.lock'))
    for (const name of ['nanoscale.db', 'nanoscale.db-wal']) rmSync(join(other, 'database', name))
    const migrated = await run(['migrate'], env)
    assert.equal(migrated.code, 0, migrated.errors)
    assert.equal(statSync(join(other, 'database', 'nanoscale.db')).uid, owner)
    assert.equal(statSync(join(other, 'run', 'control.lock')).uid, owner)
  })

  it('refuse while another process holds the lock', async () => {
    const lock = acquireLock(join(dataDirectory, 'run', 'control.lock'))
    assert.ok(lock)
    const { errors, code } = await run(['migrate'])
    await lock[Symbol.asyncDispose]()
    assert.equal(code, 2)
    assert.match(errors, /server\.running/)
  })

  it('ask the server while one runs', async () => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`)
      if (request.url?.endsWith('/retire') === true) {
        response
          .writeHead(409)
          .end(JSON.stringify({ error: 'Cannot retire it', code: 'keyring.in_use' }))
      } else {
        response.write('retry: 1\n\nevent: progress\ndata: {"resealed":1,')
        setImmediate(() => response.end('"total":2}\n\nevent: end\ndata: {}\n\n'))
      }
    })
    server.listen(join(dataDirectory, 'run', 'operator.sock'))
    await once(server, 'listening')
    const rotated = await run(['keys', 'rotate'])
    const refused = await run(['keys', 'retire', 'k/1'])
    server.close()
    assert.equal(rotated.code, 0)
    assert.match(rotated.errors, /1 of 2 sealed again/)
    assert.match(refused.errors, /keyring\.in_use Cannot retire it/)
    assert.deepEqual(asked, [
      'POST /api/instance/keys/rotate',
      'POST /api/instance/keys/k%2F1/retire',
    ])
  })

  it('print settings, and refuse wrong ones with exit code 2', async () => {
    assert.equal((await run(['config', '--check'])).code, 0)
    const wrong = { NANOSCALE_PORT: 'x', NANOSCALE_BIMD: '::' }
    const checked = await run(['config', '--check'], wrong)
    assert.equal(checked.code, 2)
    assert.match(checked.errors, /NANOSCALE_BIMD .*NANOSCALE_PORT/)
    const doctor = await run(['doctor', '--json'], wrong)
    assert.equal(doctor.code, 2)
    const { findings } = JSON.parse(doctor.out) as { findings: { check: string }[] }
    assert.deepEqual(
      findings.map(({ check }) => check),
      ['configuration', 'configuration'],
    )
    const keys = { NANOSCALE_ENCRYPTION_KEYS: 'k1:sesame-sesame' }
    assert.ok(!(await run(['config'], keys)).out.includes('sesame'))
    const broken = await run(['keys'], keys)
    assert.match(broken.errors, /keyring\.invalid/)
    assert.ok(!broken.errors.includes('sesame'))
  })

  it('examine what is there, exit code 0 when nothing has to be repaired', async () => {
    const { out, code } = await run(['doctor', '--json'], {
      NANOSCALE_PORT: '45871',
      NANOSCALE_TRAFFIC_PORT: '45872',
    })
    const { findings } = JSON.parse(out) as { findings: { check: string; status: string }[] }
    assert.deepEqual(
      findings.filter(({ status }) => status === 'failed'),
      [],
    )
    assert.equal(code, 0)
  })
})
