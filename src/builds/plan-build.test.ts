import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { NO_SETTINGS } from '../../test/_build-plans.ts'
import { isOperationError } from '../lib/errors.ts'
import type { RepositoryFacts } from '../sources/repository-facts.ts'
import type { BuildSettings } from './build-settings.ts'
import { fingerprintOf } from './fingerprint.ts'
import { planBuild } from './plan-build.ts'
import type { Toolchain } from './toolchain.ts'

const TOOLCHAIN: Toolchain = {
  nodeVersion: '26.10.0',
  npmVersion: '12.2.0',
  packageManagers: ['npm', 'pnpm', 'yarn'],
  path: '/bin',
}

/** Facts of a repository with these files; objects stand for their JSON. */
function facts(files: Record<string, string | object>, other: Partial<RepositoryFacts> = {}) {
  const texts = Object.fromEntries(
    Object.entries(files).map(([name, file]) => [
      name,
      typeof file === 'string' ? file : JSON.stringify(file),
    ]),
  )
  const configuration = texts['nanoscale.json']
  return {
    sha: 'a'.repeat(40),
    rootDirectory: '.',
    rootDirectoryExists: true,
    files: Object.keys(files),
    texts,
    configuration:
      configuration === undefined ? null : { path: 'nanoscale.json', text: configuration },
    oversized: [],
    hasSubmodules: false,
    usesLfs: false,
    ...other,
  } satisfies RepositoryFacts
}

const plan = (
  files: Record<string, string | object>,
  settings: Partial<BuildSettings> = {},
  toolchain: Partial<Toolchain> = {},
) => planBuild(facts(files), { ...NO_SETTINGS, ...settings }, { ...TOOLCHAIN, ...toolchain })

function assertRefused(code: string, pattern: RegExp, run: () => unknown): void {
  assert.throws(run, (error) => {
    assert.ok(isOperationError(error, code), String(error))
    assert.match(error.message, pattern)
    return true
  })
}

const SERVER = { scripts: { start: 'node server.js' }, dependencies: { hono: '1' } }

describe('planBuild()', () => {
  it('detects a static site, in the root or in a usual directory', () => {
    const site = plan({ 'index.html': '' })
    assert.equal(site.kind, 'static')
    assert.equal(site.outputDirectory, '.')
    assert.deepEqual(site.steps, [])
    assert.equal(site.start, null)
    assert.equal(plan({ 'public/index.html': '' }).outputDirectory, 'public')
  })

  it('detects a Node app and its package manager by the lockfile', () => {
    const install = (files: Record<string, string | object>) =>
      plan({ 'package.json': SERVER, ...files }).steps[0]?.argv.join(' ')
    assert.equal(install({ 'package-lock.json': '' }), 'npm ci')
    assert.equal(install({ 'pnpm-lock.yaml': '' }), 'pnpm install --frozen-lockfile')
    assert.equal(install({ 'yarn.lock': '' }), 'yarn install --frozen-lockfile')
    assert.equal(install({ 'yarn.lock': '', '.yarnrc.yml': '' }), 'yarn install --immutable')
    assert.equal(install({}), 'npm install')
    assert.match(plan({ 'package.json': SERVER }).explanation.join('\n'), /without a lockfile/)
    assert.deepEqual(plan({ 'package.json': SERVER }).start, ['node', 'server.js'])
    const scripts = { start: 'NODE_ENV=production next start' }
    assert.deepEqual(plan({ 'package.json': { scripts } }).start, ['npm', 'start', '--silent'])
  })

  it('installs nothing when there is nothing to install', () => {
    const app = plan({ 'package.json': { main: 'server.js', scripts: { build: 'node b.js' } } })
    assert.deepEqual(app.steps, [{ name: 'build', argv: ['npm', 'run', 'build'] }])
    assert.deepEqual(app.start, ['node', 'server.js'])
  })

  it('detects a static site that Node builds', () => {
    const scripts = { build: 'vite build' }
    const site = plan({
      'package.json': { scripts, devDependencies: { vite: '1' } },
      'index.html': '',
    })
    assert.equal(site.kind, 'static')
    assert.equal(site.outputDirectory, 'dist')
    assert.deepEqual(
      site.steps.map((step) => step.name),
      ['install', 'build'],
    )
    assertRefused('build.output_unknown', /outputDirectory/, () =>
      plan({ 'package.json': { scripts: { build: 'x' } } }),
    )
    const given = plan({
      'package.json': { scripts },
      'nanoscale.json': { outputDirectory: 'www' },
    })
    assert.equal(given.kind, 'static')
    assert.equal(given.outputDirectory, 'www')
  })

  it('lets a person decide over nanoscale.json, and that over detection', () => {
    const files = {
      'package.json': SERVER,
      'nanoscale.json': {
        start: 'node a.js',
        build: false,
        healthPath: '/up',
        release: 'node m.js',
      },
    }
    const byFile = plan(files)
    assert.deepEqual(byFile.start, ['node', 'a.js'])
    assert.equal(byFile.healthPath, '/up')
    assert.deepEqual(byFile.release, ['node', 'm.js'])
    const byPerson = plan(files, { start_command: 'node b.js', install_command: '' })
    assert.deepEqual(byPerson.start, ['node', 'b.js'])
    assert.deepEqual(byPerson.steps, [])
    assert.match(byPerson.explanation.join('\n'), /settings decide install, start/)
    assertRefused('build.invalid_settings', /needs a shell/, () =>
      plan(files, { build_command: 'a && b' }),
    )
  })

  it('takes engines as a requirement and .nvmrc as a wish', () => {
    const engines = (node: string) => ({ ...SERVER, engines: { node } })
    const explain = (files: Record<string, string | object>) => plan(files).explanation.join('\n')
    assert.match(explain({ 'package.json': engines('>=22') }), /Node 26, because .* >=22/)
    assertRefused('build.node_version', /26\.10\.0.*18/, () =>
      plan({ 'package.json': engines('^18') }),
    )
    assert.match(explain({ 'package.json': SERVER, '.nvmrc': 'v20.1.0\n' }), /though .nvmrc asks/)
    assert.match(explain({ 'package.json': SERVER, '.nvmrc': 'lts/*' }), /version of the platform/)
  })

  it('names the package manager that is missing', () => {
    assertRefused('build.toolchain_missing', /pnpm.*npm install --global pnpm/, () =>
      plan({ 'package.json': SERVER, 'pnpm-lock.yaml': '' }, {}, { packageManagers: ['npm'] }),
    )
  })

  it('G-19 D-03 refuses what only describes containers, whatever it asks for', () => {
    const dockerfile = 'FROM scratch\n# syntax=evil/frontend\nRUN --security=insecure id\n'
    const compose = 'services: { a: { privileged: true, network_mode: host, pid: host } }\n'
    for (const [name, text] of [
      ['Dockerfile', dockerfile],
      ['Containerfile', dockerfile],
      ['compose.yaml', compose],
      ['compose.yml', compose],
      ['docker-compose.yaml', compose],
      ['docker-compose.yml', compose],
    ] as const) {
      const sentence = new RegExp(`only a ${name}, and the process runtime runs no containers`)
      assertRefused('build.needs_docker', sentence, () => plan({ [name]: text }))
    }
    // Beside an app they are left alone: nothing reads them.
    assert.equal(plan({ 'compose.yaml': compose, 'index.html': '' }).kind, 'static')
    assert.equal(plan({ Dockerfile: '', 'package.json': SERVER }).kind, 'node')
  })

  it('lists what was looked for when nothing is detected', () => {
    assertRefused('build.nothing_detected', /index\.html.*go\.mod/, () => plan({ 'go.mod': '' }))
    assertRefused('build.root_directory_missing', /"x"/, () =>
      planBuild(
        facts({}, { rootDirectory: 'x', rootDirectoryExists: false }),
        NO_SETTINGS,
        TOOLCHAIN,
      ),
    )
    assertRefused('build.invalid_configuration', /package\.json:1:2/, () =>
      plan({ 'package.json': '{x', 'index.html': '' }),
    )
  })
})

describe('fingerprintOf()', () => {
  it('changes with all that decides what a build makes, and with nothing else', () => {
    const keyring = { fingerprint: (text: string) => text }
    const app = plan({ 'package.json': SERVER })
    const of = (change: {
      plan?: object
      tree?: string
      env?: Record<string, string>
      node?: string
    }) =>
      fingerprintOf({ ...app, ...change.plan }, change.tree ?? 't', change.env ?? {}, keyring, {
        ...TOOLCHAIN,
        nodeVersion: change.node ?? '26.10.0',
      })
    assert.equal(of({}), of({ plan: { explanation: ['x'], watchPaths: ['y'] } }))
    assert.equal(of({ env: { a: '1', b: '2' } }), of({ env: { b: '2', a: '1' } }))
    const others = [{ tree: 'u' }, { env: { a: '1' } }, { node: '27.0.0' }, { plan: { steps: [] } }]
    assert.equal(new Set([{}, ...others].map(of)).size, 5)
    assert.notEqual(of({ env: { a: '1,b' } }), of({ env: { a: '1', b: '' } }))
  })
})
