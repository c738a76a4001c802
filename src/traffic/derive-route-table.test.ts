import assert from 'node:assert/strict'
import { it } from 'node:test'

import type { Insertable } from 'kysely'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { Database } from '../database/database.ts'
import type { InstanceState, Schema } from '../database/schema.ts'
import { deriveRouteTable } from './derive-route-table.ts'
import { urlOfProject } from './project-url.ts'

const TIME = '2026-01-01T00:00:00.000Z'
const OPTIONS = {
  baseDomain: 'apps.example',
  dataDirectory: '/data',
  uidOf: (slot: number) => 210_000 + slot,
  version: 7,
}

async function addProject(
  db: Database,
  name: string,
  slot: number,
  deletedAt: string | null = null,
) {
  const project: Insertable<Schema['projects']> = {
    id: name,
    organization_id: 'org-default',
    name,
    host_label: name,
    source_provider: 'manual',
    repo_url: 'https://git.example/x.git',
    branch: 'main',
    runtime: 'process',
    auto_deploy: true,
    poll_interval_seconds: 60,
    next_poll_at: TIME,
    deployment_count: 0,
    account_slot: slot,
    deleted_at: deletedAt,
    created_at: TIME,
    updated_at: TIME,
  }
  await db.insertInto('projects').values(project).execute()
}

async function addLiveDeployment(db: Database, projectId: string, plan: unknown) {
  const common = { organization_id: 'org-default', project_id: projectId, created_at: TIME }
  await db
    .insertInto('releases')
    .values({
      ...common,
      id: `${projectId}-release`,
      fingerprint: 'f',
      commit_sha: 'c',
      tree_id: 't',
      plan: JSON.stringify(plan),
      state: 'ready',
      host_id: 'host',
    })
    .execute()
  await db
    .insertInto('deployments')
    .values({
      ...common,
      id: `${projectId}-live`,
      number: 1,
      state: 'live',
      cause: 'first',
      branch: 'main',
      commit_sha: 'c',
      rebuild: false,
      release_id: `${projectId}-release`,
      attempt: 1,
      not_before: TIME,
      debounce_since: TIME,
      cancelled_in_a_row: 0,
    })
    .execute()
  await db
    .updateTable('projects')
    .set({ live_deployment_id: `${projectId}-live` })
    .where('id', '=', projectId)
    .execute()
}

async function addInstance(
  db: Database,
  projectId: string,
  id: string,
  state: InstanceState,
  port: number,
) {
  await db
    .insertInto('instances')
    .values({
      id,
      organization_id: 'org-default',
      project_id: projectId,
      deployment_id: `${projectId}-live`,
      release_id: `${projectId}-release`,
      host_id: 'host',
      state,
      port,
      restarts: 0,
      created_at: TIME,
    })
    .execute()
}

async function targets(db: Database) {
  const table = await deriveRouteTable(db, OPTIONS)
  assert.equal(table.version, 7)
  return Object.fromEntries(table.routes.map((route) => [route.hostname, route.target]))
}

describeOnBothEngines('deriveRouteTable()', (open) => {
  it('leads a static project to its release and a Node project to its newest running instance', async () => {
    await using test = await open()
    const { db } = test
    await addProject(db, 'site', 1)
    await addLiveDeployment(db, 'site', { kind: 'static', singlePageApp: true })
    await addProject(db, 'shop', 2)
    await addLiveDeployment(db, 'shop', { kind: 'node', singlePageApp: false })
    await addInstance(db, 'shop', 'i1', 'running', 20_001)
    await addInstance(db, 'shop', 'i2', 'running', 20_002)
    await addInstance(db, 'shop', 'i3', 'starting', 20_003)
    assert.deepEqual(await targets(db), {
      'site.apps.example': {
        kind: 'static',
        releaseId: 'site-release',
        directory: '/data/releases/site-release',
        singlePageApp: true,
      },
      'shop.apps.example': { kind: 'instance', instanceId: 'i2', port: 20_002, uid: 210_002 },
    })
  })

  it('says why nothing is live', async () => {
    await using test = await open()
    const { db } = test
    await addProject(db, 'new', 1)
    for (const [slot, [name, state]] of [
      ['crashed', 'crashed'] as const,
      ['looping', 'crash_loop'] as const,
      ['starting', 'starting'] as const,
    ].entries()) {
      await addProject(db, name, 10 + slot)
      await addLiveDeployment(db, name, { kind: 'node' })
      await addInstance(db, name, `${name}-1`, state, 20_001 + slot)
    }
    const unavailable = (reason: string) => ({ kind: 'unavailable', reason })
    assert.deepEqual(await targets(db), {
      'new.apps.example': unavailable('never_deployed'),
      'crashed.apps.example': unavailable('crashed'),
      'looping.apps.example': unavailable('crashed'),
      'starting.apps.example': unavailable('starting'),
    })
  })

  it('gives each domain of a project its target, and leaves deleted projects out', async () => {
    await using test = await open()
    const { db } = test
    await addProject(db, 'shop', 1)
    await addProject(db, 'gone', 2, TIME)
    for (const [project, hostname] of [
      ['shop', 'shop.example'],
      ['shop', 'www.shop.example'],
      ['gone', 'gone.example'],
    ] as const) {
      await db
        .insertInto('domains')
        .values({
          id: hostname,
          organization_id: 'org-default',
          project_id: project,
          hostname,
          created_at: TIME,
        })
        .execute()
    }
    assert.deepEqual(Object.keys(await targets(db)).sort(), [
      'shop.apps.example',
      'shop.example',
      'www.shop.example',
    ])
  })

  it('names the address that people use', () => {
    assert.equal(
      urlOfProject({ trafficUrl: 'https://*.apps.example.com' }, 'shop'),
      'https://shop.apps.example.com',
    )
  })
})
