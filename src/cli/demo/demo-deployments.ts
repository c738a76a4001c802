import type { z } from 'zod'

import type { deployment } from '../../contract/deployments.ts'
import { type DemoPlatform, pause } from './demo-platform.ts'

type Deployment = z.output<typeof deployment>

export interface Demo {
  platform: DemoPlatform
  print: (line: string) => void
  signal: AbortSignal
}

const DEPLOYMENT_TIMEOUT_MS = 60_000

/** The deployment of the commit (the first one for null), when it is live. Throws when it failed or took too long. */
export async function waitUntilLive(
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
export function describe({ number, phases }: Deployment): string {
  const passed = phases.filter(({ state }) => state !== 'live')
  const total = passed.reduce((sum, phase) => sum + (phase.duration_ms ?? 0), 0)
  const steps = passed.map(({ state, duration_ms }) => `${state} ${seconds(duration_ms ?? 0)}`)
  return `  #${number} live after ${seconds(total)} s: ${steps.join(' · ')}`
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}

export function titleOf(page: string): string {
  return /<(title|h1)>([^<]*)<\/\1>/.exec(page)?.[2] ?? page.slice(0, 60)
}
