import type { Command } from 'commander'

import type { AddCommand } from '../add-command.ts'
import { CliError } from '../cli-error.ts'
import { sourceError } from '../deploy.ts'
import { findRepository } from '../find-repository.ts'
import { followDeployment } from '../follow-deployment.ts'
import { formatAgo, formatCommit, formatFields, formatTable } from '../format.ts'
import { findProject, readPages, show, type ProjectOutput, type Session } from '../session.ts'
import { settingsOf, withSettings, type SettingOptions } from '../setting-options.ts'
import { parseAssignments } from '../variables-input.ts'

interface CreateOptions extends SettingOptions {
  repo?: string
  github?: string
  branch?: string
  env?: string[]
  follow: boolean
}

/** How long the first deployment of a new project may take to appear. */
const FIRST_DEPLOYMENT_MS = 60_000

export const addProjects: AddCommand = (program, run) => {
  const projects = program.command('projects').description('Create, show and change projects')
  withSettings(
    projects
      .command('create <name>')
      .description('Create a project, deploy its branch and print where the app answers')
      .option('--repo <url>', 'address of the Git repository, https://…')
      .option('--github <owner/name>', 'instead: a repository of GitHub that you reach')
      .option('--branch <branch>', 'branch to deploy; main, or the default one at GitHub')
      .option('--env <NAME=value...>', 'environment variables')
      .option('--no-follow', 'do not wait for the first deployment'),
  ).action(run(createProject))
  projects.command('list').description('List projects').action(run(listProjects))
  projects
    .command('show [project]')
    .description('Show a project and what is live')
    .action(run(showProject))
  withSettings(
    projects
      .command('update <project>')
      .description('Change a project; settings count from its next deployment on')
      .option('--name <name>', 'new name; its address stays')
      .option('--repo <url>', 'another repository')
      .option('--branch <branch>', 'another branch'),
  ).action(run(updateProject))
  deleteCommand(projects).action(run(deleteProject))
}

function deleteCommand(projects: Command): Command {
  return projects
    .command('delete <project>')
    .description('Delete a project with its app, deployments and data')
    .requiredOption('--yes', 'required, because nothing brings it back')
}

async function createProject(
  session: Session,
  [name]: string[],
  options: CreateOptions,
): Promise<void> {
  const project = await session.client.call('projects.create', {
    body: {
      name: name ?? '',
      ...(await sourceOf(session, options)),
      ...settingsOf(options),
      environment: parseAssignments(options.env ?? []),
    },
  })
  if (!options.follow) return show(session, project, () => describeProject(project, session))
  if (!session.json) session.out(`Created project ${project.name}`)
  const deploymentId = await firstDeployment(session, project)
  await followDeployment(session, project, deploymentId)
}

async function sourceOf(session: Session, { repo, github, branch }: CreateOptions) {
  if (repo !== undefined && github === undefined) {
    return { repo_url: repo, branch: branch ?? 'main' }
  }
  if (github === undefined || repo !== undefined) {
    throw new CliError(2, 'Say where the code is: by --repo <url>, or by --github <owner/name>')
  }
  const repository = await findRepository(session, github)
  return {
    github_source: {
      integration_id: repository.integration_id,
      installation_id: repository.installation_id,
      repo_id: repository.repo_id,
      selected_branch: branch ?? repository.default_branch,
    },
  }
}

async function firstDeployment(session: Session, created: ProjectOutput): Promise<string> {
  const deadline = session.clock.now() + FIRST_DEPLOYMENT_MS
  let project = created
  for (;;) {
    if (project.latest_deployment !== null) return project.latest_deployment.id
    if (project.source_error !== null || session.clock.now() > deadline) {
      throw sourceError(project, project.source_error)
    }
    await session.clock.sleep(500)
    project = await session.client.call('projects.read', { params: { id: project.id } })
  }
}

async function listProjects(session: Session): Promise<void> {
  const items = await readPages(
    (cursor) => session.client.call('projects.list', { query: { cursor, limit: 200 } }),
    10_000,
  )
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['NAME', 'APP', 'LAST DEPLOYMENT', 'BRANCH', 'URL'],
      items.map((item) => [
        item.name,
        item.app_state.replaceAll('_', ' '),
        item.latest_deployment === null
          ? (item.source_error ?? 'none')
          : `#${item.latest_deployment.number} ${item.latest_deployment.state}, ${formatAgo(item.latest_deployment.created_at, now)}`,
        item.branch,
        item.url,
      ]),
      'There is no project yet. Create one with "nanoscale projects create <name> --repo <url>"',
    ),
  )
}

async function showProject(session: Session, [name]: (string | undefined)[]): Promise<void> {
  const project = await findProject(session, name)
  show(session, project, () => describeProject(project, session))
}

async function updateProject(
  session: Session,
  [name]: string[],
  options: SettingOptions & { name?: string; repo?: string; branch?: string },
): Promise<void> {
  const { id } = await findProject(session, name)
  const body = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.repo === undefined ? {} : { repo_url: options.repo }),
    ...(options.branch === undefined ? {} : { branch: options.branch }),
    ...settingsOf(options),
  }
  const project = await session.client.call('projects.update', { params: { id }, body })
  show(
    session,
    project,
    () => `Changed. It counts from the next deployment on:
  nanoscale deploy ${project.name}`,
  )
}

async function deleteProject(session: Session, [name]: string[]): Promise<void> {
  const project = await findProject(session, name)
  await session.client.call('projects.delete', { params: { id: project.id } })
  show(session, { id: project.id, deleted: true }, () => `Deleted project ${project.name}`)
}

function describeProject(project: ProjectOutput, session: Session): string {
  const now = session.clock.now()
  const describe = (deployment: ProjectOutput['live_deployment']) =>
    deployment === null
      ? 'none'
      : `#${deployment.number} ${deployment.state}, ${formatCommit(deployment.commit)}, ${formatAgo(deployment.created_at, now)}`
  return formatFields([
    ['Name', project.name],
    ['Id', project.id],
    ['URL', project.url],
    ['Domains', project.domains.join(', ') || null],
    ['App', project.app_state.replaceAll('_', ' ')],
    ['Live', describe(project.live_deployment)],
    ['Latest', describe(project.latest_deployment)],
    ['Failure', project.latest_deployment?.failure?.message ?? null],
    ['Repository', project.repo_url],
    ['At GitHub', describeGithub(project.github)],
    ['Branch', project.branch],
    ['Branch error', project.source_error],
    ['Root directory', project.root_directory],
    ['Install command', project.install_command],
    ['Build command', project.build_command],
    ['Start command', project.start_command],
    ['Release command', project.release_command],
    ['Output directory', project.output_directory],
    ['Health path', project.health_path],
    ['Watch paths', project.watch_paths?.join(', ') ?? null],
    ['Deploys pushes', project.auto_deploy ? 'yes' : 'no'],
    ['Looks each', `${project.poll_interval_seconds} s`],
  ])
}

function describeGithub(github: ProjectOutput['github']): string | null {
  if (github === null) return null
  const seen = github.private ? 'private' : 'public'
  if (!github.active) {
    return `${github.full_name}, ${seen}; disconnected (${github.inactive_reason ?? 'unknown'})`
  }
  const told = github.webhook === 'app' ? "the App's webhook" : `webhook ${github.webhook}`
  return `${github.full_name}, ${seen}; ${told}`
}
