import { OperationError } from '../lib/errors.ts'
import { CONTAINER_FILES } from '../sources/repository-facts.ts'
import type { RepositoryFacts } from '../sources/repository-facts.ts'
import type { Argv, BuildPlan, BuildStep } from './build-plan.ts'
import { mergeSettings } from './build-settings.ts'
import type { BuildSettings, MergedSettings } from './build-settings.ts'
import { checkNodeVersion } from './node-version.ts'
import { readPackageJson } from './package-json.ts'
import type { PackageJson } from './package-json.ts'
import { chooseInstall } from './package-manager.ts'
import { splitCommand } from './split-command.ts'
import type { Toolchain } from './toolchain.ts'

/** Output directories of tools that are known, by the dependency that names them. */
const OUTPUT_OF_TOOL: Readonly<Record<string, string>> = {
  vite: 'dist',
  astro: 'dist',
  parcel: 'dist',
  'react-scripts': 'build',
  '@11ty/eleventy': '_site',
  gatsby: 'public',
  vitepress: '.vitepress/dist',
  '@docusaurus/core': 'build',
}

const SITE_DIRECTORIES = ['public', 'dist', 'build', 'site', '_site', 'out', 'www', 'docs']

/**
 * Decides how a commit becomes a release. What a person set comes before `nanoscale.json`, and that before what is
 * detected. Throws `build.*` saying what is wrong and what would help.
 */
export function planBuild(
  facts: RepositoryFacts,
  settings: BuildSettings,
  toolchain: Toolchain,
): BuildPlan {
  requireReadable(facts)
  const merged = mergeSettings(facts, settings)
  const packageJson = readPackageJson(facts)
  const kind = chooseKind(facts, merged, packageJson)
  const notes = [...merged.notes, ...remarks(facts)]
  const hasWork = packageJson !== null || Boolean(merged.install ?? merged.build)
  const { steps, packageManager } = hasWork
    ? planSteps(facts, merged, packageJson, toolchain, notes)
    : { steps: [], packageManager: null }
  const start = kind === 'node' ? chooseStart(facts, merged, packageJson, notes) : null
  const outputDirectory =
    merged.outputDirectory ??
    (kind === 'static' ? chooseSiteDirectory(facts, steps, packageJson, notes) : '.')
  return {
    kind,
    rootDirectory: facts.rootDirectory,
    packageManager,
    steps,
    outputDirectory,
    start,
    release: kind === 'node' ? (merged.release ?? null) : null,
    healthPath: merged.healthPath ?? '/',
    singlePageApp: merged.singlePageApp ?? false,
    watchPaths: merged.watchPaths ?? null,
    explanation: [
      kind === 'node' ? 'A Node app' : `A static site from ${describeDirectory(outputDirectory)}`,
      ...notes,
    ],
  }
}

function requireReadable(facts: RepositoryFacts): void {
  const [large] = facts.oversized
  if (large !== undefined) {
    throw new OperationError('build.invalid_configuration', `Cannot read ${large}: it is too large`)
  }
  if (facts.rootDirectoryExists) return
  throw new OperationError(
    'build.root_directory_missing',
    `Cannot build "${facts.rootDirectory}": the commit has no such directory`,
  )
}

function chooseKind(
  facts: RepositoryFacts,
  merged: MergedSettings,
  packageJson: PackageJson | null,
): BuildPlan['kind'] {
  if (merged.kind !== undefined) return merged.kind
  if (merged.start !== undefined) return 'node'
  if (packageJson !== null && merged.outputDirectory === undefined) {
    if (packageJson.scripts['start'] !== undefined || packageJson.main !== null) return 'node'
  }
  if (packageJson?.scripts['start'] !== undefined) return 'node'
  const isSite = findSite(facts) !== null || merged.outputDirectory !== undefined
  if (isSite || toolOutput(packageJson) !== null || packageJson?.scripts['build'] !== undefined) {
    return 'static'
  }
  if (packageJson !== null && facts.files.some(isServerFile)) return 'node'
  throw nothingDetected(facts)
}

function nothingDetected(facts: RepositoryFacts): OperationError {
  const place = describeDirectory(facts.rootDirectory)
  const container = CONTAINER_FILES.find((name) => facts.files.includes(name))
  if (container !== undefined) {
    return new OperationError(
      'build.needs_docker',
      `Cannot build ${place}: it has only a ${container}, and the process runtime runs no containers; add a package.json with a start script or an index.html, or use a runtime that runs containers`,
    )
  }
  const seen = facts.files.length === 0 ? '' : `; of other kinds there is ${facts.files.join(', ')}`
  return new OperationError(
    'build.nothing_detected',
    `Cannot tell how to build ${place}: looked for nanoscale.json with a start command, package.json with a start or build script or "main", and index.html (also in ${SITE_DIRECTORIES.join(', ')})${seen}`,
  )
}

function planSteps(
  facts: RepositoryFacts,
  merged: MergedSettings,
  packageJson: PackageJson | null,
  toolchain: Toolchain,
  notes: string[],
): { steps: BuildStep[]; packageManager: BuildPlan['packageManager'] } {
  notes.push(...checkNodeVersion(facts, packageJson, toolchain))
  const detected = chooseInstall(facts, packageJson, toolchain, merged.install !== undefined)
  const install = merged.install === undefined ? detected.install : merged.install
  notes.push(...detected.notes)
  const steps: BuildStep[] = []
  if (install !== null) steps.push({ name: 'install', argv: install })
  const script: Argv | null =
    packageJson?.scripts['build'] === undefined ? null : [detected.packageManager, 'run', 'build']
  const build = merged.build === undefined ? script : merged.build
  if (build !== null) {
    steps.push({ name: 'build', argv: build })
    if (merged.build === undefined) notes.push('The build script of package.json builds it')
  }
  return { steps, packageManager: packageJson === null ? null : detected.packageManager }
}

function chooseStart(
  facts: RepositoryFacts,
  merged: MergedSettings,
  packageJson: PackageJson | null,
  notes: string[],
): Argv {
  if (merged.start !== undefined) return merged.start
  const script = packageJson?.scripts['start']
  if (script !== undefined) {
    const direct = splitCommand(script)
    const hasHooks = ['prestart', 'poststart'].some((name) => packageJson?.scripts[name])
    if (direct.kind === 'argv' && direct.argv[0] === 'node' && !hasHooks) {
      // npm would stay in memory beside the app for as long as that runs.
      notes.push('The start script of package.json starts it, without npm in between')
      return direct.argv
    }
    notes.push('The start script of package.json starts it')
    // npm for every lockfile: it is always there, and starting installs nothing.
    return ['npm', 'start', '--silent']
  }
  const file = packageJson?.main ?? facts.files.find(isServerFile)
  if (file !== undefined) {
    notes.push(`Started by ${file}, because package.json has no start script`)
    return ['node', file]
  }
  throw new OperationError(
    'build.no_start_command',
    'Cannot tell how to start the app: give package.json a start script or nanoscale.json a "start"',
  )
}

function chooseSiteDirectory(
  facts: RepositoryFacts,
  steps: readonly BuildStep[],
  packageJson: PackageJson | null,
  notes: string[],
): string {
  const tool = toolOutput(packageJson)
  if (tool !== null) {
    notes.push(`${tool.name} writes to ${tool.directory}`)
    return tool.directory
  }
  const isBuilt = steps.some(({ name }) => name === 'build')
  const site = findSite(facts)
  if (!isBuilt && site !== null) return site
  if (!isBuilt) return '.'
  throw new OperationError(
    'build.output_unknown',
    'Cannot tell what the build script writes: set "outputDirectory" in nanoscale.json, or a start script when it is a server',
  )
}

function toolOutput(packageJson: PackageJson | null) {
  const names = packageJson?.dependencies ?? []
  const name = Object.keys(OUTPUT_OF_TOOL).find((tool) => names.includes(tool))
  return name === undefined ? null : { name, directory: OUTPUT_OF_TOOL[name] ?? 'dist' }
}

function findSite(facts: RepositoryFacts): string | null {
  if (facts.files.includes('index.html')) return '.'
  const found = SITE_DIRECTORIES.find((name) => facts.files.includes(`${name}/index.html`))
  return found ?? null
}

function isServerFile(name: string): boolean {
  return name === 'server.js' || name === 'index.js'
}

function remarks(facts: RepositoryFacts): string[] {
  const notes: string[] = []
  if (facts.hasSubmodules) notes.push('Submodules are not fetched: their directories stay empty')
  if (facts.usesLfs) notes.push('Git LFS files are not fetched: they stay pointers')
  return notes
}

function describeDirectory(path: string): string {
  return path === '.' ? "the repository's root" : `"${path}"`
}
