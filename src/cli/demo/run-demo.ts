import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

import type { z } from 'zod'

import type { deployment } from '../../contract/deployments.ts'
import { runCommand } from '../../lib/run-command.ts'
import type { ProjectOutput } from '../session.ts'
import { type DemoPlatform, pause, startDemoPlatform } from './demo-platform.ts'
import { type DemoRepository, serveDemoRepositories } from './demo-repositories.ts'

type Deployment = z.output<typeof deployment>

const EXAMPLES = path.resolve(import.meta.dirname, '../../../examples')
const DEPLOYMENT_TIMEOUT_MS = 60_000

/**
 * The product on one machine, without a network: serves the examples as Git repositories, deploys them, pushes a commit
 * and shows what happens. Stays until Ctrl-C unless `once`, and leaves nothing behind.
 */
export async function runDemo(options: {
  once: boolean
  print: (line: string) => void
  signal: AbortSignal
}): Promise<void> {
  const { print, signal } = options
  await using directory = await temporaryDirectory()
  await using repositories = await serveDemoRepositories(directory.path)
  print('Starting a NanoScale of its own, with two example repositories on this machine …')
  await using platform = await startDemoPlatform({
    directory: directory.path,
    gitHost: repositories.hostEntry,
    signal,
  })
  const demo: Demo = { platform, print, signal }
  const site = await repositories.create('site', path.join(EXAMPLES, 'static-site'))
  const app = await repositories.create('hello', path.join(EXAMPLES, 'node-app'))
  const siteProject = await deploy(demo, 'site', site)
  const appProject = await deploy(demo, 'hello', app)

  print('')
  print(
    'Pushing a commit to the site. Nobody tells NanoScale: it looks at the branch each second …',
  )
  const before = titleOf(await platform.page(new URL(siteProject.url).hostname))
  await editTitle(site)
  const sha = await site.push('Change the title')
  print(describe(await waitUntilLive(demo, siteProject.id, sha)))
  const after = titleOf(await platform.page(new URL(siteProject.url).hostname))
  print(`  title before: ${before}`)
  print(`  title now:    ${after}`)

  print('')
  print('The static site:  ' + siteProject.url)
  print('The Node app:     ' + appProject.url)
  print('(When names below localhost do not resolve here:')
  print(
    `  curl -H 'Host: ${new URL(appProject.url).host}' http://127.0.0.1:${platform.trafficPort}/)`,
  )
  if (!options.once) {
    print('')
    print('Ctrl-C ends the demo and removes all of it.')
    if (!signal.aborted) await once(signal, 'abort')
  }
  print('Cleaning up …')
}

interface Demo {
  platform: DemoPlatform
  print: (line: string) => void
  signal: AbortSignal
}

async function deploy(
  demo: Demo,
  name: string,
  repository: DemoRepository,
): Promise<ProjectOutput> {
  demo.print('')
  demo.print(`nanoscale projects create ${name} --repo ${repository.url} --branch main`)
  const created = await demo.platform.client.call('projects.create', {
    body: { name, repo_url: repository.url, branch: 'main' },
  })
  demo.print(describe(await waitUntilLive(demo, created.id, null)))
  return created
}

/** The deployment of the commit (the first one for null), when it is live. */
async function waitUntilLive(
  { platform, signal }: Demo,
  projectId: string,
  sha: string | null,
): Promise<Deployment> {
  const deadline = Date.now() + DEPLOYMENT_TIMEOUT_MS
  while (Date.now() < deadline) {
    signal.throwIfAborted()
    const { items } = await platform.client.call('deployments.list', {
      params: { id: projectId },
      query: {},
    })
    const found = items.find(({ commit }) => sha === null || commit.sha === sha)
    if (found?.state === 'live') {
      return await platform.client.call('deployments.read', { params: { id: found.id } })
    }
    if (found?.failure) throw new Error(`The deployment failed: ${found.failure.message}`)
    await pause(50)
  }
  throw new Error(`Nothing became live within ${DEPLOYMENT_TIMEOUT_MS / 1000} s`)
}

/** `#2 live after 0.4 s: queued 0.0 · fetching 0.1 · …` */
function describe({ number, phases }: Deployment): string {
  const passed = phases.filter(({ state }) => state !== 'live')
  const total = passed.reduce((sum, phase) => sum + (phase.duration_ms ?? 0), 0)
  const steps = passed.map(({ state, duration_ms }) => `${state} ${seconds(duration_ms ?? 0)}`)
  return `  #${number} live after ${seconds(total)} s: ${steps.join(' · ')}`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}

function titleOf(page: string): string {
  return /<title>([^<]*)<\/title>/.exec(page)?.[1] ?? page.slice(0, 60)
}

async function editTitle(site: DemoRepository): Promise<void> {
  const file = path.join(site.workTree, 'index.html')
  const page = await readFile(file, 'utf8')
  await writeFile(file, page.replace(/<title>[^<]*<\/title>/, '<title>Changed by a push</title>'))
}

async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const directory = await mkdtemp(path.join(tmpdir(), 'nanoscale-demo-'))
  // Apps and builds run under users of their own and must be able to pass through.
  await chmod(directory, 0o711)
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      // Releases are read-only, also for who made them unless that is root.
      await runCommand({ argv: ['chmod', '-R', 'u+rwX', '--', directory] }, { timeoutMs: 20_000 })
      await rm(directory, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}
