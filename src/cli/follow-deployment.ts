import type { z } from 'zod'

import { logLine, type deployment as deploymentSchema } from '../contract/deployments.ts'
import { CliError } from './cli-error.ts'
import { formatCommit, formatDuration, printable } from './format.ts'
import { show, type ProjectOutput, type Session } from './session.ts'

export type DeploymentOutput = z.infer<typeof deploymentSchema>

/** What each state means, while it lasts. States that are over at once have none. */
const PHASES: Readonly<Record<string, string>> = {
  queued: 'Waiting for its turn',
  fetching: 'Fetching the commit',
  building: 'Building',
  releasing: 'Running the release command',
  starting: 'Starting the new version',
  checking: 'Checking that it answers',
  switching: 'Switching the traffic to it',
  cancelling: 'Ending what it started',
}

const POLL_MS = 400
/** A stream that breaks is opened again so often in a row. */
const MAX_RECONNECTS = 20

/**
 * Shows a deployment until it ended: its phases with their durations, its log and where the app answers. One that is
 * superseded is followed by its successor. Sets exit code 1 when it does not end live.
 */
export async function followDeployment(
  session: Session,
  project: ProjectOutput,
  deploymentId: string,
): Promise<void> {
  let deployment = await readDeployment(session, deploymentId)
  for (;;) {
    deployment = await followOne(session, deployment)
    if (deployment.state !== 'superseded' || deployment.superseded_by_id === null) break
    const successor = await readDeployment(session, deployment.superseded_by_id)
    if (!session.json) {
      session.out(`Deployment #${deployment.number} is superseded by #${successor.number}`)
    }
    deployment = successor
  }
  if (deployment.state !== 'live') session.fail(1)
  const ended = deployment
  show(session, ended, () => sentenceOf(project, ended))
}

function readDeployment(session: Session, id: string): Promise<DeploymentOutput> {
  return session.client.call('deployments.read', { params: { id } })
}

async function followOne(session: Session, first: DeploymentOutput): Promise<DeploymentOutput> {
  const quiet: Session = session.json ? { ...session, out: () => {} } : session
  quiet.out(`Deployment #${first.number} of ${formatCommit(first.commit)}`)
  const over = new AbortController()
  const log = showLog(quiet, first.id).finally(() => over.abort())
  const [ended] = await Promise.all([showPhases(quiet, first, over.signal), log])
  return ended
}

/** Prints each phase as it begins, with the duration of the one before; resolves with the deployment as it ended. */
async function showPhases(
  session: Session,
  first: DeploymentOutput,
  over: AbortSignal,
): Promise<DeploymentOutput> {
  let shown = 0
  for (;;) {
    const isLast = over.aborted
    const deployment = await readPatiently(session, first.id)
    for (const phase of deployment.phases.slice(shown)) {
      const before = deployment.phases[shown - 1]
      const took = before?.duration_ms
      if (took !== null && took !== undefined && before?.state !== 'queued') {
        session.out(`  done in ${formatDuration(took)}`)
      }
      const text = PHASES[phase.state]
      if (text !== undefined) session.out(`▸ ${text}`)
      shown += 1
    }
    if (deployment.ended || isLast) return deployment
    await session.clock.sleep(POLL_MS, over).catch(() => {})
  }
}

/** The control plane may be restarting: the deployment goes on meanwhile. */
async function readPatiently(session: Session, id: string): Promise<DeploymentOutput> {
  for (let attempt = 0; attempt < MAX_RECONNECTS; attempt += 1) {
    try {
      return await readDeployment(session, id)
    } catch (error) {
      if (!isBroken(error)) throw error
    }
    await session.clock.sleep(500)
  }
  return await readDeployment(session, id)
}

async function showLog(session: Session, deploymentId: string): Promise<void> {
  let lastEventId: string | undefined
  for (let attempt = 0; attempt <= MAX_RECONNECTS; attempt += 1) {
    try {
      const input = { params: { id: deploymentId }, query: {} }
      for await (const event of session.client.stream('deployments.logs', input, { lastEventId })) {
        if (event.event === 'end') return
        if (event.event !== 'log') continue
        attempt = 0
        lastEventId = event.id ?? lastEventId
        printLog(session, event.data)
      }
    } catch (error) {
      // The control plane may be restarting: the deployment goes on meanwhile.
      if (!isBroken(error)) throw error
    }
    await session.clock.sleep(500)
  }
  throw new CliError(3, 'Cannot follow the deployment: the connection breaks again and again')
}

function isBroken(error: unknown): boolean {
  return !(error instanceof CliError) || error.exitCode === 3
}

function printLog(session: Session, data: unknown): void {
  const line = logLine.parse(data)
  const mark = line.stream === 'platform' ? '  · ' : '    '
  for (const text of line.text.replace(/\n$/, '').split('\n')) {
    session.out(`${mark}${printable(text.replace(/\r$/, ''))}`)
  }
}

function sentenceOf(project: ProjectOutput, deployment: DeploymentOutput): string {
  const name = `Deployment #${deployment.number}`
  const reason = printable(deployment.failure?.message ?? 'the reason is in its log')
  if (deployment.state === 'live') {
    const ended = Date.parse(deployment.ended_at ?? deployment.created_at)
    const took = formatDuration(ended - Date.parse(deployment.created_at))
    return `✓ ${name} is live in ${took}\n${project.url}`
  }
  if (deployment.state === 'failed') {
    const live = project.live_deployment
    const kept = live === null ? '' : `\nDeployment #${live.number} serves on`
    return `✗ ${name} failed: ${reason}${kept}\nIts log: nanoscale logs --deployment ${deployment.id}`
  }
  if (deployment.state === 'interrupted') {
    return `✗ ${name} was interrupted: ${reason}\nIt may be tried again: nanoscale deployments ${project.name}`
  }
  return `✗ ${name} is ${deployment.state}`
}
