import { isOperationError, OperationError } from '../lib/errors.ts'
import { requireObjectId } from './git-command.ts'
import { withMirror } from './mirror.ts'
import type { Mirror } from './mirror.ts'
import { runGit } from './run-git.ts'
import type { Source, SourceDeps } from './source-deps.ts'

/** What planning a build needs to know of a commit, read from git's objects. Symbolic links count as absent. */
export interface RepositoryFacts {
  sha: string
  /** Directory of the app, `.` for the repository's root. */
  rootDirectory: string
  rootDirectoryExists: boolean
  /** Which of `KNOWN_FILES` exist in the root directory. */
  files: readonly string[]
  /** Text of the small files that planning reads; names as in `files`. */
  texts: Readonly<Record<string, string>>
  /** `nanoscale.json` that applies: of the root directory, else of the repository's root. */
  configuration: { path: string; text: string } | null
  /** Files that planning would read but that are too large for what they claim to be. */
  oversized: readonly string[]
  hasSubmodules: boolean
  usesLfs: boolean
}

const READ_FILES = ['package.json', '.nvmrc', '.node-version'] as const
/** What describes containers; in this order it is named to people. */
export const CONTAINER_FILES = [
  'Dockerfile',
  'Containerfile',
  'compose.yaml',
  'compose.yml',
  'docker-compose.yaml',
  'docker-compose.yml',
] as const
const INDEX_DIRECTORIES = ['public', 'dist', 'build', 'site', '_site', 'out', 'www', 'docs']

/** All that planning looks for. */
export const KNOWN_FILES: readonly string[] = [
  ...READ_FILES,
  'nanoscale.json',
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  '.yarnrc.yml',
  'bun.lock',
  'bun.lockb',
  'server.js',
  'index.js',
  'index.html',
  ...INDEX_DIRECTORIES.map((directory) => `${directory}/index.html`),
  ...CONTAINER_FILES,
  'requirements.txt',
  'pyproject.toml',
  'go.mod',
  'Cargo.toml',
  'Gemfile',
  'composer.json',
  'deno.json',
]

const MAX_FILE_BYTES = 512 * 1024

/**
 * Reads the facts of a commit that is in the mirror. Without `rootDirectory` the one that the repository's
 * `nanoscale.json` names is taken.
 */
export async function readRepositoryFacts(
  deps: SourceDeps,
  source: Source,
  sha: string,
  rootDirectory: string | null,
  signal: AbortSignal,
): Promise<RepositoryFacts> {
  requireObjectId(sha)
  return await withMirror(
    deps,
    source,
    async (mirror) => {
      const read = (paths: readonly string[]) => readFiles(deps, mirror, sha, paths, signal)
      // Most apps are at the top: what is looked for there is read in one go.
      const top = await read([...new Set([...TOP_FILES, ...KNOWN_FILES])])
      const topText = top.texts.get('nanoscale.json')
      const root = normalise(rootDirectory ?? rootDirectoryIn(topText) ?? '.')
      const prefix = root === '.' ? '' : `${root}/`
      const app = root === '.' ? top : await read(KNOWN_FILES.map((name) => prefix + name))
      const own = app.texts.get(`${prefix}nanoscale.json`)
      const known = KNOWN_FILES.filter((name) => app.present.has(prefix + name))
      return {
        sha,
        rootDirectory: root,
        rootDirectoryExists: root === '.' || (await isDirectory(deps, mirror, sha, root, signal)),
        files: known,
        texts: Object.fromEntries(
          known.flatMap((name) => {
            const text = app.texts.get(prefix + name)
            return text === undefined ? [] : [[name, text]]
          }),
        ),
        configuration:
          own !== undefined
            ? { path: `${prefix}nanoscale.json`, text: own }
            : topText === undefined
              ? null
              : { path: 'nanoscale.json', text: topText },
        oversized: [...new Set([...top.oversized, ...app.oversized])],
        hasSubmodules: top.present.has('.gitmodules'),
        usesLfs: /filter=lfs/.test(top.texts.get('.gitattributes') ?? ''),
      }
    },
    signal,
  )
}

interface Files {
  present: Set<string>
  texts: Map<string, string>
  oversized: string[]
}

/** Looked for at the repository's top, wherever the app is. */
const TOP_FILES = ['nanoscale.json', '.gitmodules', '.gitattributes'] as const

const READ = new Set<string>([...READ_FILES, 'nanoscale.json', '.gitattributes'])

/** Which of `paths` are regular files, and the text of those that planning reads: two calls of git in all. */
async function readFiles(
  deps: SourceDeps,
  mirror: Mirror,
  sha: string,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<Files> {
  const files: Files = { present: new Set(), texts: new Map(), oversized: [] }
  const args = ['ls-tree', '-z', '--long', '--full-tree', sha, '--', ...paths]
  const wanted: { path: string; objectId: string }[] = []
  for (const line of (await local(deps, mirror, args, signal)).split('\0')) {
    const match = /^(\d+) (\w+) ([0-9a-f]+) +(\d+|-)\t([^]*)$/.exec(line)
    if (!match) continue
    const [, mode = '', , objectId = '', size = '', path = ''] = match
    if (!mode.startsWith('100')) continue
    files.present.add(path)
    if (!READ.has(path.slice(path.lastIndexOf('/') + 1))) continue
    if (Number(size) > MAX_FILE_BYTES) files.oversized.push(path)
    else wanted.push({ path, objectId })
  }
  if (wanted.length === 0) return files
  const texts = await readBlobs(deps, mirror, wanted, signal)
  for (const [path, text] of texts) files.texts.set(path, text)
  return files
}

/** Reads several blobs by one call, told apart by a mark that nobody can know in advance. */
async function readBlobs(
  deps: SourceDeps,
  mirror: Mirror,
  wanted: readonly { path: string; objectId: string }[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const mark = crypto.randomUUID()
  const stdin = wanted.map(({ objectId }) => `${objectId}\n`).join('')
  const args = ['cat-file', `--batch=${mark}`]
  const output = await local(deps, mirror, args, signal, stdin)
  const parts = output.split(`${mark}\n`).slice(1)
  return new Map(wanted.map(({ path }, index) => [path, (parts[index] ?? '').replace(/\n$/, '')]))
}

async function isDirectory(
  deps: SourceDeps,
  mirror: Mirror,
  sha: string,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const args = ['ls-tree', '-z', '--full-tree', sha, '--', path]
  return (await local(deps, mirror, args, signal)).startsWith('040000 tree ')
}

async function local(
  deps: SourceDeps,
  mirror: Mirror,
  args: readonly string[],
  signal: AbortSignal,
  stdin?: string,
): Promise<string> {
  const run = { gitDirectory: mirror.directory, args, maxOutputBytes: 4 * 1024 * 1024 }
  const result = await runGit(
    deps,
    mirror.site,
    stdin === undefined ? run : { ...run, stdin },
    signal,
  )
  if (result.exitCode === 0) return result.stdout
  throw new OperationError('source.unreadable', `Cannot read the commit: ${result.stderr.trim()}`)
}

/** `rootDirectory` of the text, as far as it can be told; planning judges the file strictly. */
function rootDirectoryIn(text: string | undefined): string | null {
  try {
    const value: unknown = JSON.parse(text ?? 'null')
    if (typeof value !== 'object' || value === null || !('rootDirectory' in value)) return null
    return typeof value.rootDirectory === 'string' ? normalise(value.rootDirectory) : null
  } catch (error) {
    if (error instanceof SyntaxError || isOperationError(error)) return null
    throw error
  }
}

/** A directory of the repository without `./`, doubled or trailing slashes. Throws `source.invalid_path` when it leaves it. */
function normalise(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (path.startsWith('/') || parts.includes('..') || /[\p{Cc}\\]/u.test(path)) {
    throw new OperationError(
      'source.invalid_path',
      `Cannot use "${path}" as the root directory: it must be a directory inside the repository`,
    )
  }
  return parts.join('/') || '.'
}
