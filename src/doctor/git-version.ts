import { isOperationError, messageOf } from '../lib/errors.ts'
import { runCommand } from '../lib/run-command.ts'
import { failed, ok, warning, type Finding } from './finding.ts'

/**
 * The releases that closed CVE-2025-48384 (a submodule path that ends in a carriage return writes outside of the
 * checkout): the least patch of each minor version.
 */
const SAFE: ReadonlyMap<number, number> = new Map([
  [43, 7],
  [44, 4],
  [45, 4],
  [46, 4],
  [47, 3],
  [48, 2],
  [49, 1],
  [50, 1],
])

/** The first minor version that obeys every setting which git is given here; an older one would ignore some of them. */
const LEAST_MINOR = 38

export async function checkGit(path: string, signal?: AbortSignal): Promise<Finding> {
  try {
    const command = { argv: ['git', '--version'], env: { PATH: path, LC_ALL: 'C' } } as const
    const options = { timeoutMs: 10_000, ...(signal === undefined ? {} : { signal }) }
    return judgeGitVersion((await runCommand(command, options)).stdout)
  } catch (error) {
    if (!isOperationError(error)) throw error
    return failed('git', messageOf(error), 'Install git, for example: apt-get install git')
  }
}

export function judgeGitVersion(output: string): Finding {
  const match = /^git version (\d+)\.(\d+)\.(\d+)/.exec(output)
  const fix = 'Install git 2.50.1 or newer'
  if (match === null) return warning('git', 'The version of git is not known', fix)
  const [major, minor, patch] = match.slice(1).map(Number) as [number, number, number]
  const version = `git ${major}.${minor}.${patch}`
  if (major < 2 || (major === 2 && minor < LEAST_MINOR)) {
    const state = `${version} is too old: it ignores settings that keep repositories from harming this machine`
    return failed('git', state, fix)
  }
  const least = SAFE.get(minor)
  const isSafe =
    major > 2 || (major === 2 && (minor > 50 || (least !== undefined && patch >= least)))
  if (isSafe) return ok('git', version)
  return warning(
    'git',
    `${version} may have CVE-2025-48384, unless your distribution closed it; submodules are not fetched`,
    fix,
  )
}
