import { readdir, readFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import type { BuildPlan } from '../src/builds/build-plan.ts'
import { startGitHost } from '../test/_git-host.ts'
import type { GitHost } from '../test/_git-host.ts'
import type { GitRepository, RepositoryFiles } from '../test/_git-repository.ts'
import { createBenchPlatform, type BenchPlatform } from './_bench-platform.ts'
import { deployByHand } from './_deploy-by-hand.ts'
import { memoryOf } from './_memory.ts'

const EXAMPLES = join(import.meta.dirname, '..', 'examples')
/** Memory is looked at when what a deployment left to collect had its time. */
const IDLE_MS = 5000
/** A push right after another waits for the burst to end, on purpose: each measured one is alone. */
const ALONE_MS = 2500
const DEADLINE_MS = 120_000

interface Phase {
  state: string
  entered_at: string
  duration_ms: number | null
}

interface Deployment {
  id: string
  ended: boolean
  state: string
  failure: { message: string } | null
  phases: Phase[]
  release: { plan: BuildPlan } | null
}

interface Project {
  id: string
  repository: GitRepository
}

/** Milliseconds by phase, in the order of the phases; `all` from the request to live. */
type Timing = Map<string, number>

interface Measured {
  starts: number[]
  timings: { title: string; runs: Timing[] }[]
}

const { values } = parseArgs({ options: { runs: { type: 'string', default: '5' } } })
const runs = Math.min(Math.max(Number.parseInt(values.runs, 10) || 5, 1), 20)

await using host = await startGitHost()
await using platform = await createBenchPlatform({ gitHostPort: host.port })
const loadBefore = loadavg()
const measured = await measure(platform, host)
await sleep(IDLE_MS)
await printMemory(platform)
print(measured, loadBefore)

async function measure(platform: BenchPlatform, host: GitHost): Promise<Measured> {
  // The first start installs; the others find everything in place.
  await platform.start()
  const starts: number[] = []
  for (let run = 0; run < runs; run++) {
    await platform.stop()
    starts.push(await platform.start())
  }
  const timings: Measured['timings'] = []
  for (const name of ['node-app', 'static-site']) {
    const project = await createProject(platform, host, name)
    timings.push(...(await measureProject(platform, name, project)))
  }
  return { starts, timings }
}

async function measureProject(platform: BenchPlatform, name: string, project: Project) {
  const { id, repository } = project
  const pushes: Timing[] = []
  const redeploys: Timing[] = []
  const rollbacks: Timing[] = []
  const byHand: Timing[] = []
  for (let run = 0; run < runs; run++) {
    await repository.push({ 'CHANGES.md': `${run}\n` }, `Change ${run}`)
    const pushed = await deploy(platform, id, 'reconcile')
    pushes.push(pushed.timing)
    const plan = pushed.deployment.release?.plan
    if (plan !== undefined)
      byHand.push(await deployByHand(platform.dataDirectory, repository.url, plan))
    redeploys.push((await deploy(platform, id, 'redeploy', {})).timing)
    rollbacks.push((await deploy(platform, id, 'rollback', { number: 1 })).timing)
  }
  return [
    { title: `${name}: push`, runs: pushes },
    { title: `${name}: the same commands by hand`, runs: byHand },
    { title: `${name}: redeploy`, runs: redeploys },
    { title: `${name}: rollback`, runs: rollbacks },
  ]
}

async function createProject(
  platform: BenchPlatform,
  host: GitHost,
  name: string,
): Promise<Project> {
  const repository = await host.createRepository(name, await filesOf(join(EXAMPLES, name)))
  const body = { name, repo_url: repository.url, branch: 'main' }
  const { id } = await platform.api<{ id: string }>('POST', '/api/projects', body)
  await deploymentEnded(platform, await newestDeployment(platform, id))
  return { id, repository }
}

async function deploy(
  platform: BenchPlatform,
  projectId: string,
  how: 'reconcile' | 'redeploy' | 'rollback',
  body?: unknown,
): Promise<{ deployment: Deployment; timing: Timing }> {
  await sleep(ALONE_MS)
  const askedAt = Date.now()
  const path = `/api/projects/${projectId}/${how}`
  const answer = await platform.api<{ deployment_id: string }>('POST', path, body)
  const deployment = await deploymentEnded(platform, answer.deployment_id)
  return { deployment, timing: timingOf(deployment, askedAt) }
}

function timingOf({ phases }: Deployment, askedAt: number): Timing {
  const timing: Timing = new Map()
  const at = ({ entered_at }: Phase) => Date.parse(entered_at)
  const [first] = phases
  if (first !== undefined) timing.set('asking', at(first) - askedAt)
  for (const phase of phases) {
    if (phase.state !== 'live') timing.set(phase.state, phase.duration_ms ?? 0)
    else timing.set('all', at(phase) - askedAt)
  }
  return timing
}

async function newestDeployment(platform: BenchPlatform, projectId: string): Promise<string> {
  const path = `/api/projects/${projectId}/deployments`
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await sleep(50)) {
    const { items } = await platform.api<{ items: { id: string }[] }>('GET', path)
    if (items[0] !== undefined) return items[0].id
  }
  throw new Error('The project has no deployment')
}

async function deploymentEnded(platform: BenchPlatform, id: string): Promise<Deployment> {
  for (const deadline = Date.now() + DEADLINE_MS; Date.now() < deadline; await sleep(100)) {
    const deployment = await platform.api<Deployment>('GET', `/api/deployments/${id}`)
    if (!deployment.ended) continue
    if (deployment.state === 'live') return deployment
    throw new Error(`The deployment ended ${deployment.state}: ${deployment.failure?.message}`)
  }
  throw new Error(`The deployment ${id} did not end`)
}

async function filesOf(directory: string): Promise<RepositoryFiles> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const read = files.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name)
    return [path.slice(directory.length + 1), await readFile(path)] as const
  })
  return Object.fromEntries(await Promise.all(read))
}

async function printMemory(platform: BenchPlatform): Promise<void> {
  const rows: Record<string, { 'RSS MB': number; 'PSS MB': number }> = {}
  let ours = 0
  for (const [name, pid] of Object.entries(await platform.pids())) {
    const { rss, pss } = await memoryOf(pid)
    if (name !== 'launcher') ours += pss
    rows[name] = { 'RSS MB': rss, 'PSS MB': pss }
  }
  console.log(`\nMemory, ${IDLE_MS / 1000} s after the last deployment`)
  console.table(rows)
  console.log(`All but the launcher: ${ours.toFixed(1)} MB PSS`)
}

function print({ starts, timings }: Measured, loadBefore: readonly number[]): void {
  console.log(`\nMedian of ${runs} in ms (load ${loadBefore[0]?.toFixed(2)} before)`)
  console.log(`start to ready: ${median(starts)} (${starts.map(Math.round).join(', ')})`)
  const rows: Record<string, Record<string, number>> = {}
  for (const { title, runs: each } of timings) {
    const names = new Set(each.flatMap((timing) => [...timing.keys()]))
    const values = [...names].map((name) => [name, median(each.map((t) => t.get(name) ?? 0))])
    rows[title] = Object.fromEntries(values)
  }
  console.table(rows)
}

function median(numbers: readonly number[]): number {
  return Math.round(numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0)
}
