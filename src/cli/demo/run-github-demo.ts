import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'

import type { z } from 'zod'

import type { deliveryDetails } from '../../contract/deliveries.ts'
import { chooseFreePort } from '../../lib/free-port.ts'
import type { ProjectOutput } from '../session.ts'
import { createDemoBrowser, type DemoBrowser } from './demo-browser.ts'
import { type Demo, describe, titleOf, waitUntilLive } from './demo-deployments.ts'
import { runGit } from './demo-git.ts'
import { type DemoPlatform, pause, startDemoPlatform } from './demo-platform.ts'
import { requireStandIn, type StandIn, startStandIn } from './stand-in.ts'
import { temporaryDirectory } from './temporary-directory.ts'

type Delivery = z.output<typeof deliveryDetails>

const PERSON = { email: 'ada@example.com', password: 'correct horse battery staple' }
const DELIVERIES_TIMEOUT_MS = 20_000

/**
 * Private repositories on one machine, without a network: a stand-in of GitHub with an App, a person who connects an
 * account, picks a repository and pushes. Stays until Ctrl-C unless `once`, and leaves nothing behind.
 */
export async function runGithubDemo(options: {
  once: boolean
  print: (line: string) => void
  signal: AbortSignal
}): Promise<void> {
  requireStandIn()
  const { print, signal } = options
  await using directory = await temporaryDirectory()
  const port = await chooseFreePort()
  const baseUrl = `http://localhost:${port}`
  print('Starting a stand-in of GitHub and a NanoScale of its own …')
  await using github = await startStandIn({
    directory: path.join(directory.path, 'github'),
    baseUrl,
    signal,
  })
  await using platform = await startDemoPlatform({
    directory: directory.path,
    gitHost: `${new URL(github.webUrl).host}@private`,
    port,
    environment: appSettings(github),
    signal,
  })
  print(`  GitHub:    ${github.webUrl}, with the App ${github.app.slug}`)
  print(`  NanoScale: ${baseUrl}, which knows the App by NANOSCALE_GITHUB_*`)
  const demo: Demo = { platform, print, signal }
  const browser = await setUp(demo, baseUrl)
  await connect(demo, browser, github)
  const project = await deploy(demo, browser, github)
  await push(demo, project, await cloneShop(directory.path, github))
  print('')
  print(`The app:  ${project.url}`)
  print('(When names below localhost do not resolve here:')
  print(`  curl -H 'Host: ${new URL(project.url).host}' http://127.0.0.1:${platform.trafficPort}/)`)
  if (!options.once) {
    printWhatToTry(print, platform, github, baseUrl)
    if (!signal.aborted) await once(signal, 'abort')
  }
  print('Cleaning up …')
}

function appSettings({ webUrl, apiUrl, app }: StandIn): Record<string, string> {
  return {
    // Only what GitHub tells makes anybody look.
    NANOSCALE_POLL_INTERVAL_SECONDS: '3600',
    NANOSCALE_GITHUB_APP_ID: String(app.id),
    NANOSCALE_GITHUB_APP_CLIENT_ID: app.clientId,
    NANOSCALE_GITHUB_APP_CLIENT_SECRET: app.clientSecret,
    NANOSCALE_GITHUB_APP_PRIVATE_KEY: app.privateKey.replaceAll('\n', String.raw`\n`),
    NANOSCALE_GITHUB_WEBHOOK_SECRET: app.webhookSecret,
    NANOSCALE_GITHUB_WEB_URL: webUrl,
    NANOSCALE_GITHUB_API_URL: apiUrl,
  }
}

/** The first person comes by the setup link, and signs in. */
async function setUp({ platform, print }: Demo, baseUrl: string): Promise<DemoBrowser> {
  print('')
  print('Ada opens the setup link that NanoScale printed, chooses a password and signs in …')
  const { url } = await platform.client.call('setup.link', {})
  const token = new URLSearchParams(new URL(url ?? baseUrl).hash.slice(1)).get('token') ?? ''
  await createDemoBrowser(baseUrl).call('setup.complete', {
    body: { ...PERSON, token, name: 'Ada', organization_name: 'Acme' },
  })
  const browser = createDemoBrowser(baseUrl)
  await browser.call('auth.signIn', { body: PERSON })
  const me = await browser.call('me')
  print(`  ${PERSON.email} is ${me.role} of the organization ${me.organization?.name ?? ''}`)
  return browser
}

/** NanoScale leads to GitHub, where Ada allows it; GitHub leads back. */
async function connect({ print }: Demo, browser: DemoBrowser, github: StandIn): Promise<void> {
  print('')
  print('She connects her account: NanoScale leads to GitHub, where she authorizes the App …')
  const { url } = await browser.call('github.start', { body: {} })
  const form = new URL(url).searchParams
  form.set('login', 'ada')
  form.set('decision', 'authorize')
  const answer = await fetch(`${github.webUrl}/login/oauth/authorize`, {
    method: 'POST',
    body: form,
    redirect: 'manual',
    headers: { connection: 'close' },
  })
  await browser.open(answer.headers.get('location') ?? '')
  const { connected, login, installations } = await browser.call('github.status')
  if (!connected) throw new Error(`GitHub did not lead back: it answered ${answer.status}`)
  const accounts = installations.map(({ account_login }) => account_login)
  print(`  connected as ${login}; the App is installed at ${accounts.join(', ')}`)
}

async function deploy(demo: Demo, browser: DemoBrowser, github: StandIn): Promise<ProjectOutput> {
  const { print } = demo
  const installation_id = github.installation.id
  await browser.call('github.repos.sync', { body: { installation_id } })
  const { items } = await browser.call('github.repos', { query: { installation_id } })
  print('')
  print('What she can deploy:')
  for (const { full_name, private: isPrivate, default_branch } of items) {
    print(`  ${full_name.padEnd(12)} ${isPrivate ? 'private' : 'public '}  ${default_branch}`)
  }
  const shop = items.find(({ private: isPrivate }) => isPrivate)
  if (shop === undefined) throw new Error('There is no private repository to deploy')
  print('')
  print(`She makes a project of ${shop.full_name}, which needs a token of the App to be read …`)
  const project = await browser.call('projects.create', {
    body: {
      name: shop.name,
      github_source: {
        installation_id,
        repo_id: shop.repo_id,
        selected_branch: shop.default_branch,
      },
    },
  })
  print(describe(await waitUntilLive(demo, project.id, null)))
  return project
}

async function cloneShop(directory: string, github: StandIn): Promise<string> {
  await runGit(directory, 'clone', '--quiet', cloneUrl(github), 'shop')
  return path.join(directory, 'shop')
}

function cloneUrl({ webUrl, tokens }: StandIn): string {
  return `${webUrl.replace('://', `://ada:${tokens.ada}@`)}/acme/shop.git`
}

/** GitHub tells by the App's webhook and by the repository's own; that is one deployment. */
async function push(demo: Demo, project: ProjectOutput, workTree: string): Promise<void> {
  const { platform, print } = demo
  const { hostname } = new URL(project.url)
  print('')
  print('She pushes a commit. NanoScale looks at the branch each hour only: GitHub tells it …')
  const before = titleOf(await platform.page(hostname))
  await writeFile(path.join(workTree, 'index.html'), '<!doctype html><h1>Changed by a push</h1>\n')
  await runGit(workTree, 'commit', '--quiet', '--all', '--message', 'Change the title')
  await runGit(workTree, 'push', '--quiet', 'origin', 'main')
  const sha = await runGit(workTree, 'rev-parse', 'HEAD')
  print(describe(await waitUntilLive(demo, project.id, sha)))
  print(`  title before: ${before}`)
  print(`  title now:    ${titleOf(await platform.page(hostname))}`)

  const deliveries = await readDeliveries(demo, sha)
  const { items } = await platform.client.call('deployments.list', {
    params: { id: project.id },
    query: {},
  })
  const count = items.filter(({ commit }) => commit.sha === sha).length
  if (count !== 1) throw new Error(`The push led to ${count} deployments instead of one`)
  print('')
  print(
    "GitHub told it by the App's webhook and by the repository's: exactly one redeploy followed.",
  )
  for (const delivery of deliveries) printTimeline(print, delivery)
}

/** All that GitHub told of a commit, oldest first, when NanoScale is done with it. */
async function readDeliveries({ platform, signal }: Demo, sha: string): Promise<Delivery[]> {
  const deadline = Date.now() + DELIVERIES_TIMEOUT_MS
  while (Date.now() < deadline) {
    signal.throwIfAborted()
    const { items } = await platform.client.call('deliveries.list', { query: {} })
    const told = items.filter(({ event, after }) => event === 'push' && after === sha)
    if (told.length > 1 && told.every(({ state }) => state !== 'received')) {
      const read = told.map(({ id }) => platform.client.call('deliveries.read', { params: { id } }))
      return (await Promise.all(read)).toReversed()
    }
    await pause(50)
  }
  throw new Error(`NanoScale was not told of ${sha} by both webhooks`)
}

function printTimeline(print: Demo['print'], { delivery_id, timeline }: Delivery): void {
  print(`  delivery ${delivery_id}`)
  const start = Date.parse(timeline[0]?.at ?? '')
  for (const { step, at, message } of timeline) {
    const after = ((Date.parse(at) - start) / 1000).toFixed(2)
    print(`    +${after} s  ${step.padEnd(10)}  ${message}`)
  }
}

function printWhatToTry(
  print: Demo['print'],
  platform: DemoPlatform,
  github: StandIn,
  baseUrl: string,
): void {
  const nanoscale = `NANOSCALE_DATA_DIR=${platform.dataDirectory} ./nanoscale`
  for (const line of [
    '',
    'Try, while it runs:',
    `  git clone ${cloneUrl(github)}   # commit, push`,
    `  ${nanoscale} deployments shop`,
    `  ${nanoscale} projects show shop`,
    `  ${github.webUrl}/   # suspend or uninstall the App, as Ada`,
    `  ${baseUrl}/sign-in   # ${PERSON.email}, ${PERSON.password}; then /integrations/github`,
    '',
    'Ctrl-C ends the demo and removes all of it.',
  ]) {
    print(line)
  }
}
