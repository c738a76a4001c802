import type { AddCommand } from '../add-command.ts'
import { CliError } from '../cli-error.ts'
import { deploy } from '../deploy.ts'
import { followDeployment } from '../follow-deployment.ts'
import { formatAgo, formatCommit, formatDuration, formatTable } from '../format.ts'
import { findProject, readPages, show, type Session } from '../session.ts'

export const addDeployments: AddCommand = (program, run) => {
  program
    .command('deploy [project]')
    .description('Deploy the head of the branch now, also when it is live already')
    .option('--rebuild', 'build even what was built before', false)
    .option('--no-follow', 'do not wait for the end')
    .action(run(deployProject))
  program
    .command('deployments [project]')
    .description('List deployments, newest first')
    .option('--limit <count>', 'how many', '20')
    .action(run(listDeployments))
  program
    .command('rollback [project] [deployment]')
    .description('Go back to a deployment (#n or id), else to the one that was live before')
    .option('--no-follow', 'do not wait for the end')
    .action(run(rollback))
  program
    .command('cancel [project] [deployment]')
    .description('Cancel the deployment that is under way')
    .action(run(cancel))
}

async function deployProject(
  session: Session,
  [name]: (string | undefined)[],
  options: { rebuild: boolean; follow: boolean },
): Promise<void> {
  const project = await findProject(session, name)
  await finish(session, project, await deploy(session, project, options), options)
}

async function rollback(
  session: Session,
  [name, target]: (string | undefined)[],
  options: { follow: boolean },
): Promise<void> {
  const project = await findProject(session, name)
  const body = target === undefined ? {} : parseTarget(target)
  const params = { id: project.id }
  const requested = await session.client.call('projects.rollback', { params, body })
  await finish(session, project, requested.deployment_id, options)
}

async function finish(
  session: Session,
  project: Awaited<ReturnType<typeof findProject>>,
  deploymentId: string,
  options: { follow: boolean },
): Promise<void> {
  if (options.follow) return await followDeployment(session, project, deploymentId)
  const deployment = await session.client.call('deployments.read', { params: { id: deploymentId } })
  show(session, deployment, () => `Deployment #${deployment.number} is ${deployment.state}`)
}

/** `#3`, `3` or an id. */
export function parseTarget(target: string): { number: number } | { deployment_id: string } {
  const number = /^#?(\d{1,9})$/.exec(target)?.[1]
  return number === undefined ? { deployment_id: target } : { number: Number(number) }
}

async function listDeployments(
  session: Session,
  [name]: (string | undefined)[],
  options: { limit: string },
): Promise<void> {
  const count = Number(options.limit)
  if (!Number.isInteger(count) || count < 1) throw new CliError(2, '--limit must be a count')
  const project = await findProject(session, name)
  const params = { id: project.id }
  const items = await readPages(
    (cursor) =>
      session.client.call('deployments.list', {
        params,
        query: { cursor, limit: Math.min(count, 200) },
      }),
    count,
  )
  const now = session.clock.now()
  const liveId = project.live_deployment?.id
  show(session, items, () =>
    formatTable(
      ['', 'STATE', 'CAUSE', 'COMMIT', 'TOOK', 'WHEN', 'WHY NOT'],
      items.map((item) => [
        `#${item.number}`,
        item.state === 'live' && item.id !== liveId ? 'replaced' : item.state,
        item.cause,
        formatCommit(item.commit),
        item.started_at === null || item.ended_at === null
          ? ''
          : formatDuration(Date.parse(item.ended_at) - Date.parse(item.started_at)),
        formatAgo(item.created_at, now),
        item.failure?.message.slice(0, 80) ?? '',
      ]),
      `Nothing of ${project.name} was deployed yet. Deploy it with "nanoscale deploy ${project.name}"`,
    ),
  )
}

async function cancel(session: Session, [name, target]: (string | undefined)[]): Promise<void> {
  const project = await findProject(session, name)
  const id = target === undefined ? underWay(project) : await idOf(session, project.id, target)
  await session.client.call('deployments.cancel', { params: { id } })
  show(session, { id, cancelled: true }, () => 'Cancelled. What is live serves on')
}

function underWay(project: Awaited<ReturnType<typeof findProject>>): string {
  const latest = project.latest_deployment
  if (latest !== null && latest.ended_at === null) return latest.id
  throw new CliError(1, `Nothing of ${project.name} is being deployed`)
}

async function idOf(session: Session, projectId: string, target: string): Promise<string> {
  const parsed = parseTarget(target)
  if ('deployment_id' in parsed) return parsed.deployment_id
  // Pages begin behind their cursor, and cursors of this list are numbers.
  const query = { cursor: String(parsed.number + 1), limit: 1 }
  const page = await session.client.call('deployments.list', { params: { id: projectId }, query })
  const [found] = page.items
  if (found?.number === parsed.number) return found.id
  throw new CliError(1, `Cannot find deployment #${parsed.number}`)
}
