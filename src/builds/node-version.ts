import { satisfies, validRange } from 'semver'

import { OperationError } from '../lib/errors.ts'
import type { RepositoryFacts } from '../sources/repository-facts.ts'
import type { PackageJson } from './package-json.ts'
import type { Toolchain } from './toolchain.ts'

/**
 * Compares what the repository asks for with the one Node that there is. `engines` is a requirement: throws
 * `build.node_version`. `.nvmrc` is what its authors use: another version is a remark.
 */
export function checkNodeVersion(
  facts: RepositoryFacts,
  packageJson: PackageJson | null,
  toolchain: Pick<Toolchain, 'nodeVersion'>,
): string[] {
  const { nodeVersion } = toolchain
  const major = nodeVersion.split('.')[0] ?? nodeVersion
  const range = packageJson?.nodeRange ?? null
  if (range !== null && validRange(range) !== null) {
    if (satisfies(nodeVersion, range))
      return [`Node ${major}, because package.json asks for ${range}`]
    throw new OperationError(
      'build.node_version',
      `Cannot build with Node ${nodeVersion}: engines.node of package.json asks for ${range}`,
    )
  }
  const file = ['.nvmrc', '.node-version'].find((name) => facts.texts[name] !== undefined)
  const wanted = file === undefined ? '' : (facts.texts[file] ?? '').trim().slice(0, 40)
  const wantedRange = validRange(wanted.replace(/^v/, ''))
  if (file === undefined || wantedRange === null || wantedRange === '*') {
    return [`Node ${major}, the version of the platform`]
  }
  return satisfies(nodeVersion, wantedRange)
    ? [`Node ${major}, because ${file} asks for ${wanted}`]
    : [`Node ${major}, the version of the platform, though ${file} asks for ${wanted}`]
}
