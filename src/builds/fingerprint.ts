import type { Keyring } from '../secrets/keyring.ts'
import type { BuildPlan } from './build-plan.ts'
import type { Toolchain } from './toolchain.ts'

/**
 * Equal for builds that make the same release: tree, plan, build variables and toolchain. Keyed, because the variables
 * are secrets that a plain hash would let anyone guess at.
 */
export function fingerprintOf(
  plan: BuildPlan,
  treeId: string,
  buildVariables: Readonly<Record<string, string>>,
  keyring: Pick<Keyring, 'fingerprint'>,
  toolchain: Pick<Toolchain, 'nodeVersion' | 'npmVersion'>,
): string {
  const { explanation: _words, watchPaths: _decidedEarlier, ...made } = plan
  const variables = Object.entries(buildVariables).sort(([a], [b]) => (a < b ? -1 : 1))
  const { nodeVersion, npmVersion } = toolchain
  // A list of pairs in a fixed order: the same facts always give the same text.
  const facts = Object.entries(made).sort(([a], [b]) => (a < b ? -1 : 1))
  return keyring.fingerprint(JSON.stringify([2, treeId, facts, variables, nodeVersion, npmVersion]))
}
