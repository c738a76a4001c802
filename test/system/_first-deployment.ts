import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import path from 'node:path'

import type { GitHost } from '../_git-host.ts'
import { testApp } from './_apps.ts'
import { type Platform } from './_platform.ts'
import { listTenantProcesses } from './_processes.ts'
import { projectHandle, type TestProject } from './_project.ts'
import { waitFor } from './_wait-for.ts'

/** From a repository's URL to a live app, through its whole life: the main job, step by step. */
export async function firstDeploymentStory(platform: Platform, host: GitHost): Promise<void> {
  const { project, first } = await createAndServe(platform, host)
  await deployNewCommit(project)
  await redeployWithoutBuild(platform, project)
  await rollBack(platform, project, first)
  await readLogs(platform, project)
  await changeVariables(platform, project)
  await remove(platform, project)
}

async function createAndServe(platform: Platform, host: GitHost) {
  const repository = await host.createRepository('shop', testApp({ version: 'one' }))
  const created = await platform.cli<{ project_id: string; state: string }>(
    'projects',
    'create',
    'shop',
    '--repo',
    repository.url,
    '--branch',
    'main',
  )
  assert.equal(created.state, 'live', JSON.stringify(created))
  const facts = await platform.api<{ id: string; name: string; url: string }>(
    'GET',
    `/api/projects/${created.project_id}`,
  )
  const project = projectHandle(platform, facts, repository)
  const first = await project.waitForLive(await repository.head())
  assert.equal(first.cause, 'first')
  assert.equal(project.hostname, 'shop.localhost')
  assert.equal(await project.text('/'), 'one')
  assert.equal((await platform.get('nothing.localhost', '/')).status, 404)
  return { project, first }
}

/** Nobody calls: the timer alone finds the commit. */
async function deployNewCommit(project: TestProject): Promise<void> {
  const sha = await project.repository.push({ 'version.txt': 'two' }, 'Second version')
  const live = await project.waitForLive(sha)
  assert.equal(await project.text('/'), 'two')
  const { decision, phases } = await project.details(live.id)
  assert.equal(decision?.trigger, 'timer')
  const entered = phases.map(({ state }) => state)
  for (const state of ['fetching', 'building', 'starting', 'checking', 'switching', 'live']) {
    assert.ok(entered.includes(state), `${state} is not among ${entered.join(', ')}`)
  }
}

async function redeployWithoutBuild(platform: Platform, project: TestProject): Promise<void> {
  const [before] = await project.deployments()
  assert.ok(before)
  const { deployment_id: id } = await platform.api<{ deployment_id: string }>(
    'POST',
    `/api/projects/${project.id}/redeploy`,
    {},
  )
  await waitFor('the redeployment', 20_000, async () => (await project.details(id)).ended)
  const [old, repeated] = await Promise.all([project.details(before.id), project.details(id)])
  assert.equal(repeated.state, 'live', JSON.stringify(repeated.failure))
  assert.equal(repeated.release?.id, old.release?.id, 'the same release is started again')
  assert.equal(await project.text('/'), 'two')
}

async function rollBack(
  platform: Platform,
  project: TestProject,
  target: { number: number },
): Promise<void> {
  await platform.api('POST', `/api/projects/${project.id}/rollback`, { number: target.number })
  await waitFor('the rollback', 20_000, async () => (await project.text('/')) === 'one')
  await project.waitUntilIdle()
  const [newest] = await project.deployments()
  assert.equal(newest?.cause, 'rollback')
}

async function readLogs(platform: Platform, project: TestProject): Promise<void> {
  const [newest] = await project.deployments()
  assert.ok(newest)
  assert.match(await project.log(newest.id), /\S/)
  const answer = await platform.request(
    'GET',
    `/api/projects/${project.id}/logs?follow=false`,
    undefined,
    { accept: 'text/plain' },
  )
  assert.match(answer.text, /version one listens/)
}

/** D-01: no character of a value changes on its way. D-14: a restart is enough. */
async function changeVariables(platform: Platform, project: TestProject): Promise<void> {
  const [before] = await project.deployments()
  assert.ok(before)
  const values = {
    QUOTES: `'single' "double" \`tick\``,
    LINES: 'one\ntwo\r\n\tthree\n',
    SUBSTITUTION: '$HOME ${PATH} $(id); rm -rf / && echo | cat > /tmp/x \\ \\n',
    UNICODE: 'ä 漢 🦉',
    SPACES: '  around  ',
    EQUALS: '=a=b=',
  }
  await platform.api('PUT', `/api/projects/${project.id}/environment`, {
    variables: Object.entries(values).map(([name, value]) => ({ name, value, scope: 'run' })),
  })
  await waitFor('the restart', 20_000, async () => (await project.text('/env')).includes('QUOTES'))
  await project.waitUntilIdle()
  const seen: Record<string, string> = JSON.parse(await project.text('/env'))
  for (const [name, value] of Object.entries(values)) assert.equal(seen[name], value, name)
  const [newest] = await project.deployments()
  assert.ok(newest)
  assert.equal(newest.cause, 'configuration')
  const [old, restarted] = await Promise.all([
    project.details(before.id),
    project.details(newest.id),
  ])
  assert.equal(restarted.release?.id, old.release?.id, 'nothing is built')
  const refused = await platform.request('PUT', `/api/projects/${project.id}/environment`, {
    variables: [{ name: 'NUL', value: 'a\0b' }],
  })
  assert.equal(refused.status, 422, refused.text)
}

async function remove(platform: Platform, project: TestProject): Promise<void> {
  await platform.api('DELETE', `/api/projects/${project.id}`)
  await waitFor('the app to be gone', 30_000, async () => {
    const answer = await platform.get(project.hostname, '/')
    return answer.status === 404
  })
  await waitFor('nothing of the project to be left', 30_000, async () => {
    const processes = await listTenantProcesses(platform.dataDirectory)
    const directories = await Promise.all(
      ['builds', 'releases', 'apps', 'mirrors'].map((area) =>
        readdir(path.join(platform.dataDirectory, area)).catch(() => []),
      ),
    )
    const left = [...processes.map(({ command }) => command), ...directories.flat()]
    if (left.length > 0) throw new Error(`left: ${left.join(', ')}`)
    return true
  })
}
