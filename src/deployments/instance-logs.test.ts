import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { SYSTEM } from '../audit/actor.ts'
import type { Database } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import type { InstanceState } from '../database/schema.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { createProject } from '../projects/create-project.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { followInstanceLogs, type InstanceLogLine } from './follow-instance-logs.ts'
import { currentLogPath, readInstanceLog, type InstanceLogPlaces } from './instance-logs.ts'
import { requestDeployment } from './request-deployment.ts'
import { removeOrphanedLogs, rotateInstanceLogs } from './rotate-instance-logs.ts'

async function temporaryPlaces(): Promise<InstanceLogPlaces & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), 'nanoscale-logs-'))
  await mkdir(join(root, 'logs'))
  return {
    directory: join(root, 'logs'),
    rotatedDirectory: join(root, 'rotated'),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}

async function readAll(places: InstanceLogPlaces, id: string, from = 0): Promise<string> {
  let text = ''
  for (let offset = from; ;) {
    const range = await readInstanceLog(places, id, offset, 7)
    if (range.bytes.length === 0) return text
    text += range.bytes.toString()
    offset = range.end
  }
}

describe('rotateInstanceLogs()', () => {
  it('empties a large log in place, keeps three parts, and offsets go on', async () => {
    await using places = await temporaryPlaces()
    const path = currentLogPath(places, 'i1')
    for (const part of ['first\n', 'second\n', 'third\n', 'fourth\n', 'fifth\n']) {
      await appendFile(path, part)
      assert.deepEqual(await rotateInstanceLogs(places, ['i1', 'none'], { aboveBytes: 3 }), ['i1'])
    }
    await appendFile(path, 'now\n')
    assert.equal(await readAll(places, 'i1'), 'third\nfourth\nfifth\nnow\n')
    const whole = 'first\nsecond\nthird\nfourth\n'.length
    assert.equal(await readAll(places, 'i1', whole), 'fifth\nnow\n')
    await removeOrphanedLogs(places, () => false)
    assert.equal(await readAll(places, 'i1'), 'now\n')
  })
})

describe('readInstanceLog()', () => {
  it('never follows a link in place of a log', async () => {
    await using places = await temporaryPlaces()
    await writeFile(join(places.directory, 'secret'), 'keys')
    await symlink('secret', currentLogPath(places, 'i1'))
    await assert.rejects(readInstanceLog(places, 'i1', 0, 100))
  })
})

async function addInstances(db: Database, instances: readonly [string, InstanceState][]) {
  const deps = {
    db,
    clock: systemClock,
    newId,
    keyring: createKeyring([{ id: 'k1', bytes: new Uint8Array(32) }]),
    config: { gitHosts: ['a.example'], pollIntervalSeconds: 60, runtime: 'process' as const },
  }
  const { id } = await createProject(
    deps,
    'org-default',
    {
      name: 'shop',
      repo_url: 'https://a.example/b',
      branch: 'main',
    },
    SYSTEM,
  )
  const owner = { organization_id: 'org-default', project_id: id }
  const now = '2026-01-01T00:00:00.000Z'
  const commit = { sha: 'a', message: null, author: null, committedAt: null }
  const { deploymentId } = await inTransaction(db, (tx) =>
    requestDeployment(deps, tx, { projectId: id, cause: 'first', commit }),
  )
  const release = { fingerprint: 'f', commit_sha: 'a', tree_id: 't', plan: '{}', host_id: 'h' }
  await db
    .insertInto('releases')
    .values({
      ...owner,
      ...release,
      id: 'r1',
      state: 'ready',
      size_bytes: 1,
      created_at: now,
      ready_at: now,
    })
    .execute()
  const nothing = {
    port: null,
    pid: null,
    start_ticks: null,
    boot_id: null,
    restarts: 0,
    next_restart_at: null,
    retire_at: null,
    exit_code: null,
    exit_signal: null,
    ready_at: null,
    stopped_at: null,
  }
  for (const [instanceId, state] of instances) {
    await db
      .insertInto('instances')
      .values({
        ...owner,
        ...nothing,
        id: instanceId,
        deployment_id: deploymentId,
        release_id: 'r1',
        host_id: 'h',
        state,
        created_at: now,
      })
      .execute()
  }
  return id
}

const textOf = (lines: readonly InstanceLogLine[]) => lines.map((line) => line.text)

describeOnBothEngines('followInstanceLogs()', (open) => {
  it('begins with the last lines of all instances, redacted, and resumes behind a position', async () => {
    await using database = await open()
    await using places = await temporaryPlaces()
    const projectId = await addInstances(database.db, [
      ['i1', 'stopped'],
      ['i2', 'running'],
    ])
    await writeFile(currentLogPath(places, 'i1'), 'one\ntwo\nthree s3cret\n')
    await writeFile(currentLogPath(places, 'i2'), 'four\nunfinished')
    const redact = (text: string) => text.replaceAll('s3cret', '[secret]')
    const deps = { db: database.db, clock: systemClock, logPlaces: places, redact }
    const read = (after: string | null, tail: number) =>
      Array.fromAsync(
        followInstanceLogs(
          deps,
          projectId,
          { after, tail, follow: false },
          AbortSignal.timeout(5000),
        ),
      )
    // The line that the app has not finished counts when the tail is measured, and is not shown yet.
    const tail = await read(null, 4)
    assert.deepEqual(textOf(tail), ['two', 'three [secret]', 'four'])
    assert.deepEqual(textOf(await read(tail[0]?.position ?? null, 0)), ['three [secret]', 'four'])
    assert.deepEqual(textOf(await read('unknown:3', 1)), [])
  })

  it('follows what comes until it is told to end', async () => {
    await using database = await open()
    await using places = await temporaryPlaces()
    const projectId = await addInstances(database.db, [['i1', 'running']])
    const path = currentLogPath(places, 'i1')
    await writeFile(path, 'one\n')
    const end = new AbortController()
    const deps = { db: database.db, clock: systemClock, logPlaces: places, redact: String }
    const options = { after: null, tail: 10, follow: true }
    const lines = followInstanceLogs(deps, projectId, options, end.signal)
    assert.equal((await lines.next()).value?.text, 'one')
    await appendFile(path, 'tw')
    await appendFile(path, 'o\n')
    assert.equal((await lines.next()).value?.text, 'two')
    const last = lines.next()
    end.abort()
    assert.equal((await last).done, true)
  })
})
