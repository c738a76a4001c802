import { CliError } from './cli-error.ts'
import type { ProjectOutput, Session } from './session.ts'

/** How long a head of earlier times waits for its second reading, and a bit. */
const SECOND_READING_MS = 10_500
const MAX_LOOKS = 5

/**
 * Deploys the head of the branch and returns the deployment. Who types `deploy` wants one: a head that is live, was
 * skipped or has failed is deployed again (what was built is not built again, unless `rebuild`), and one that is
 * deploying at this moment is taken for it.
 */
export async function deploy(
  session: Session,
  project: ProjectOutput,
  options: { rebuild: boolean },
): Promise<string> {
  const found = await lookAtBranch(session, project)
  if (found.deploymentId !== null && !options.rebuild) return found.deploymentId
  const params = { id: project.id }
  const { latest_deployment: latest } = await session.client.call('projects.read', { params })
  const isUnderWay = latest !== null && latest.ended_at === null
  if (isUnderWay && latest.commit.sha === found.head && !options.rebuild) return latest.id
  if (found.reason !== null) session.err(`The push itself was skipped: ${found.reason}`)
  const body = { rebuild: options.rebuild }
  return (await session.client.call('projects.redeploy', { params, body })).deployment_id
}

async function lookAtBranch(
  session: Session,
  project: ProjectOutput,
): Promise<{ head: string | null; deploymentId: string | null; reason: string | null }> {
  for (let look = 1; look <= MAX_LOOKS; look += 1) {
    const found = await session.client.call('projects.reconcile', { params: { id: project.id } })
    const { head, deployment_id: deploymentId } = found
    switch (found.outcome) {
      case 'deploy':
      case 'unchanged':
        return { head, deploymentId, reason: null }
      case 'skip':
        return { head, deploymentId, reason: found.reason }
      case 'awaiting_second_reading':
        session.err('The branch shows an earlier commit: reading it again in 10 s')
        await session.clock.sleep(SECOND_READING_MS)
        break
      case 'busy':
        await session.clock.sleep(1000)
        break
      case 'branch_gone':
        throw new CliError(
          1,
          `Cannot find branch "${project.branch}" of ${project.repo_url}`,
          `Name another: nanoscale projects update ${project.name} --branch <branch>`,
        )
      default:
        throw sourceError(project, found.reason)
    }
  }
  throw new CliError(1, 'Cannot look at the branch now: try again')
}

/** Why a project's repository could not be read, with what to do. */
export function sourceError(project: ProjectOutput, reason: string | null): CliError {
  return new CliError(
    1,
    reason ?? `Cannot read ${project.repo_url}`,
    `If the address is wrong: nanoscale projects update ${project.name} --repo <url>`,
  )
}
