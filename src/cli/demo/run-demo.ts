import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'

import type { ProjectOutput } from '../session.ts'
import { type Demo, describe, titleOf, waitUntilLive } from './demo-deployments.ts'
import { startDemoPlatform } from './demo-platform.ts'
import { type DemoRepository, serveDemoRepositories } from './demo-repositories.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const EXAMPLES = path.resolve(import.meta.dirname, '../../../examples')

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

async function editTitle(site: DemoRepository): Promise<void> {
  const file = path.join(site.workTree, 'index.html')
  const page = await readFile(file, 'utf8')
  await writeFile(file, page.replace(/<title>[^<]*<\/title>/, '<title>Changed by a push</title>'))
}
