import type { Keyring } from '../secrets/keyring.ts'
import { checkOut, makeWorkspace } from '../sources/check-out.ts'
import { readRepositoryFacts } from '../sources/repository-facts.ts'
import type { Source, SourceDeps } from '../sources/source-deps.ts'
import type { BuildPlan } from './build-plan.ts'
import type { BuildSettings } from './build-settings.ts'
import { fingerprintOf } from './fingerprint.ts'
import { planBuild } from './plan-build.ts'
import { runBuild } from './run-build.ts'
import type { BuildDeps, BuildLimits, BuildLog } from './run-build.ts'
import type { Toolchain } from './toolchain.ts'

export interface BuildRequest {
  deploymentId: string
  releaseId: string
  source: Source
  sha: string
  plan: BuildPlan
  /** The project's build variables. */
  env: Readonly<Record<string, string>>
  /** `projects.account_slot`: who may read the release of an app; a static site's is the platform's to read. */
  accountSlot: number
  log: BuildLog
}

/** The whole way from a commit in the mirror to a sealed release, bound to what it needs. */
export function createBuilds(
  deps: SourceDeps &
    Omit<BuildDeps, 'toolchain'> & {
      keyring: Pick<Keyring, 'fingerprint'>
      toolchain: Toolchain
      buildLimits: BuildLimits
    },
) {
  return {
    /** The commit must be in the mirror (`fetchCommit`). */
    async plan(source: Source, sha: string, settings: BuildSettings, signal: AbortSignal) {
      const facts = await readRepositoryFacts(deps, source, sha, settings.root_directory, signal)
      return planBuild(facts, settings, deps.toolchain)
    },
    fingerprint(plan: BuildPlan, treeId: string, buildVariables: Readonly<Record<string, string>>) {
      return fingerprintOf(plan, treeId, buildVariables, deps.keyring, deps.toolchain)
    },
    /** Checks out, builds and seals `releases/<releaseId>`; leaves nothing else behind, whatever happens. */
    async build(order: BuildRequest, signal: AbortSignal): Promise<{ bytes: number }> {
      const { plan, env, log } = order
      await using lease = await deps.buildAccounts.acquire(signal)
      // A build that was cut off by a crash may have left its place behind.
      await deps.spawner.remove({ area: 'builds', id: order.deploymentId })
      const workspace = await makeWorkspace(deps, order.deploymentId, lease.account, signal)
      try {
        await checkOut(deps, order.source, order.sha, workspace, signal)
        const limits = deps.buildLimits
        const { path } = await runBuild(deps, { workspace, plan, env, log, limits }, signal)
        const { bytes } = await deps.spawner.sealRelease({
          build: workspace.place.id,
          path,
          release: order.releaseId,
          reader:
            plan.kind === 'static' ? 'platform' : { kind: 'project', slot: order.accountSlot },
        })
        return { bytes }
      } finally {
        await deps.spawner.endAccount(lease.account)
        await deps.spawner.remove(workspace.place)
      }
    },
  }
}
