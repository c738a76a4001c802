import type { z } from 'zod'

import type { project as projectSchema } from '../contract/projects.ts'
import type { Database } from '../database/database.ts'
import type { InstanceState } from '../database/schema.ts'
import type { DeploymentSummary } from '../deployments/deployment-records.ts'
import type { Project } from '../projects/project-records.ts'
import { urlOfProject } from '../traffic/project-url.ts'
import { summaryView } from './deployment-view.ts'
import { readGithubLinks } from './github-link-view.ts'

export type ProjectView = z.infer<typeof projectSchema>

interface ProjectRelations {
  deployments: readonly DeploymentSummary[]
  instances: readonly { deployment_id: string; state: InstanceState }[]
  domains: readonly { project_id: string; hostname: string }[]
  links: ReadonlyMap<string, ProjectView['github']>
}

/** Projects as the API shows them, with what is live, what was deployed last, and their domains. */
export async function viewProjects(
  deps: { db: Database; config: { trafficUrl: string } },
  projects: readonly Project[],
): Promise<ProjectView[]> {
  if (projects.length === 0) return []
  const relations = await readRelations(deps.db, projects)
  return projects.map((project) => viewProject(deps.config, project, relations))
}

async function readRelations(
  db: Database,
  projects: readonly Project[],
): Promise<ProjectRelations> {
  const ids = projects.map((project) => project.id)
  const deployments = await db
    .selectFrom('deployments')
    .innerJoin('projects', 'projects.id', 'deployments.project_id')
    .selectAll('deployments')
    .where('project_id', 'in', ids)
    .where((eb) =>
      eb.or([
        eb('deployments.id', '=', eb.ref('projects.live_deployment_id')),
        eb('deployments.number', '=', eb.ref('projects.deployment_count')),
      ]),
    )
    .execute()
  const instances = await db
    .selectFrom('instances')
    .innerJoin('projects', 'projects.live_deployment_id', 'instances.deployment_id')
    .select(['instances.deployment_id', 'instances.state'])
    .where('projects.id', 'in', ids)
    .orderBy('instances.id')
    .execute()
  const domains = await db
    .selectFrom('domains')
    .select(['project_id', 'hostname'])
    .where('project_id', 'in', ids)
    .orderBy('hostname')
    .execute()
  return { deployments, instances, domains, links: await readGithubLinks(db, projects) }
}

function viewProject(
  config: { trafficUrl: string },
  project: Project,
  { deployments, instances, domains, links }: ProjectRelations,
): ProjectView {
  const own = deployments.filter((deployment) => deployment.project_id === project.id)
  const live = own.find((deployment) => deployment.id === project.live_deployment_id)
  const latest = own.find((deployment) => deployment.number === project.deployment_count)
  const states = instances
    .filter((instance) => instance.deployment_id === project.live_deployment_id)
    .map((instance) => instance.state)
  return {
    id: project.id,
    name: project.name,
    url: urlOfProject(config, project.host_label),
    source: project.source_provider,
    repo_url: project.repo_url,
    branch: project.branch,
    github: links.get(project.id) ?? null,
    runtime: project.runtime,
    root_directory: project.root_directory,
    install_command: project.install_command,
    build_command: project.build_command,
    start_command: project.start_command,
    release_command: project.release_command,
    output_directory: project.output_directory,
    health_path: project.health_path,
    watch_paths: project.watch_paths,
    auto_deploy: project.auto_deploy,
    poll_interval_seconds: project.poll_interval_seconds,
    source_error: project.source_error,
    considered_head: project.considered_head,
    app_state: appState(live !== undefined, states),
    domains: domains
      .filter((domain) => domain.project_id === project.id)
      .map((domain) => domain.hostname),
    live_deployment: live === undefined ? null : summaryView(live),
    latest_deployment: latest === undefined ? null : summaryView(latest),
    created_at: project.created_at,
    updated_at: project.updated_at,
  }
}

/** A static site has no instance: it runs as soon as it is live. */
function appState(isLive: boolean, states: readonly InstanceState[]): ProjectView['app_state'] {
  if (!isLive) return 'not_deployed'
  if (states.length === 0 || states.includes('running')) return 'running'
  return states.includes('starting') ? 'starting' : 'crashed'
}
