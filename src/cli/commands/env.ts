import type { z } from 'zod'

import { variableScope } from '../../contract/projects.ts'
import type { AddCommand } from '../add-command.ts'
import { CliError } from '../cli-error.ts'
import { followDeployment } from '../follow-deployment.ts'
import { formatAgo, formatTable } from '../format.ts'
import { findProject, show, type ProjectOutput, type Session } from '../session.ts'
import { parseAssignments, readVariableFile } from '../variables-input.ts'

interface SetOptions {
  scope?: string
  file?: string
  follow: boolean
}

export const addEnv: AddCommand = (program, run) => {
  const env = program.command('env').description('Environment variables; values are write-only')
  env
    .command('set <project> [NAME=value...]')
    .description('Set variables and restart the app with them')
    .option('--scope <scope>', 'who sees them: build, run or both')
    .option('-f, --file <path>', 'read them from a .env file, "-" for standard input')
    .option('--no-follow', 'do not wait for the restart')
    .action(run(setVariables))
  env
    .command('unset <project> <NAME...>')
    .description('Remove variables and restart the app without them')
    .option('--no-follow', 'do not wait for the restart')
    .action(run(unsetVariables))
  env
    .command('list [project]')
    .description('List variables, without their values')
    .action(run(listVariables))
}

async function setVariables(
  session: Session,
  [name, ...assignments]: string[],
  options: SetOptions,
): Promise<void> {
  const given = [
    ...(options.file === undefined ? [] : await readVariableFile(options.file)),
    ...parseAssignments(assignments),
  ]
  if (given.length === 0) throw new CliError(2, 'Name variables as NAME=value, or give -f .env')
  const scope = options.scope === undefined ? {} : { scope: parseScope(options.scope) }
  const project = await findProject(session, name)
  // The last one of a name counts, as in a shell.
  const unique = [...new Map(given.map((variable) => [variable.name, variable])).values()]
  const body = { variables: unique.map((variable) => ({ ...variable, ...scope })) }
  const params = { id: project.id }
  const change = await session.client.call('environment.set', { params, body })
  await finish(session, project, change, options)
}

function parseScope(text: string): z.infer<typeof variableScope> {
  const scope = variableScope.safeParse(text)
  if (scope.success) return scope.data
  throw new CliError(2, `Cannot use the scope "${text}"`, 'Scopes are build, run and both')
}

async function unsetVariables(
  session: Session,
  [project, ...names]: string[],
  options: { follow: boolean },
): Promise<void> {
  const found = await findProject(session, project)
  let deploymentId: string | null = null
  let variables: unknown = []
  for (const name of names) {
    const params = { id: found.id, name }
    const change = await session.client.call('environment.unset', { params })
    deploymentId = change.deployment_id ?? deploymentId
    variables = change.variables
  }
  await finish(session, found, { variables, deployment_id: deploymentId }, options)
}

async function finish(
  session: Session,
  project: ProjectOutput,
  change: { deployment_id: string | null; variables: unknown },
  options: { follow: boolean },
): Promise<void> {
  if (change.deployment_id !== null && options.follow && !session.json) {
    session.out('Changed. The app restarts with it; it is built again only for a build variable')
    return await followDeployment(session, project, change.deployment_id)
  }
  show(
    session,
    change,
    () => 'Changed. What is not seen by the running app counts from the next deployment on',
  )
}

async function listVariables(session: Session, [name]: (string | undefined)[]): Promise<void> {
  const { id } = await findProject(session, name)
  const { variables } = await session.client.call('environment.list', { params: { id } })
  const now = session.clock.now()
  show(session, variables, () =>
    formatTable(
      ['NAME', 'SCOPE', 'CHANGED'],
      variables.map((variable) => [
        variable.name,
        variable.scope,
        formatAgo(variable.updated_at, now),
      ]),
      'No variables',
    ),
  )
}
