import { Option, type Command } from 'commander'

import { ROLES, type RoleName } from '../../contract/permissions.ts'
import type { AddCommand, Run } from '../add-command.ts'
import { CliError } from '../cli-error.ts'
import { currentOrganization, findMember, type MemberOutput } from '../find-organization.ts'
import { formatAgo, formatTable } from '../format.ts'
import { findProject, readPages, show, type Session } from '../session.ts'

export const addMembers: AddCommand = (program, run) => {
  const members = program.command('members').description('People of the organization')
  members.command('list').description('List members').action(run(listMembers))
  addInvite(members, run)
  members
    .command('role <email> <role>')
    .description(`Change what a member may: ${ROLES.join(', ')}`)
    .action(run(changeRole))
  members
    .command('projects <email> [projects...]')
    .description('Limit a member to these projects')
    .option('--all', 'let the member reach all projects again')
    .action(run(changeProjects))
  members
    .command('remove <email>')
    .description('End a membership: access ends at once')
    .action(run(removeMember))
  members
    .command('reset-link <email>')
    .description('Print a link by which a member chooses a new password')
    .action(run(printResetLink))
}

function addInvite(members: Command, run: Run): void {
  members
    .command('invite <email>')
    .description('Invite a person for seven days; prints the link unless it was mailed')
    .addOption(new Option('--role <role>', 'what the person may').choices(ROLES).default('member'))
    .option('--project <project...>', 'only these projects, for members and viewers')
    .action(run(invite))
}

async function listMembers(session: Session): Promise<void> {
  const id = await currentOrganization(session)
  const items = await readPages(
    (cursor) =>
      session.client.call('members.list', { params: { id }, query: { cursor, limit: 200 } }),
    1000,
  )
  const now = session.clock.now()
  show(session, items, () =>
    formatTable(
      ['EMAIL', 'NAME', 'ROLE', 'PROJECTS', 'JOINED', 'ID'],
      items.map((item) => [
        item.email ?? '-',
        item.name,
        item.from_clerk ? `${item.role} (Clerk)` : item.role,
        projectsOf(item),
        formatAgo(item.joined_at, now),
        item.user_id,
      ]),
      'No members',
    ),
  )
}

function projectsOf({ role, project_access, project_ids }: MemberOutput): string {
  const limited = project_access === 'selected' && (role === 'member' || role === 'viewer')
  return limited ? String(project_ids.length) : 'all'
}

async function invite(
  session: Session,
  [email = '']: string[],
  options: { role: RoleName; project?: string[] },
): Promise<void> {
  const id = await currentOrganization(session)
  const projects = options.project ?? []
  const body = {
    email,
    role: options.role,
    project_access: projects.length === 0 ? ('all' as const) : ('selected' as const),
    project_ids: await projectIdsOf(session, projects),
  }
  const invited = await session.client.call('invitations.create', { params: { id }, body })
  if (invited.url !== null && !session.json) {
    session.err(`Pass this link on to ${invited.email} alone: it works once, for seven days`)
  }
  show(session, invited, () => invited.url ?? `Invited ${invited.email} by mail`)
}

async function projectIdsOf(session: Session, names: readonly string[]): Promise<string[]> {
  const ids = []
  for (const name of names) ids.push((await findProject(session, name)).id)
  return ids
}

async function changeRole(session: Session, [email = '', role = '']: string[]): Promise<void> {
  const known = ROLES.find((name) => name === role)
  if (known === undefined) {
    throw new CliError(2, `Cannot give the role "${role}"`, `The roles are ${ROLES.join(', ')}`)
  }
  await update(session, email, { role: known })
}

async function changeProjects(
  session: Session,
  [email = '', ...projects]: string[],
  options: { all?: boolean },
): Promise<void> {
  if (options.all === true) return await update(session, email, { project_access: 'all' })
  if (projects.length === 0) {
    throw new CliError(2, 'Name the projects that the member reaches', 'Or use --all')
  }
  const project_ids = await projectIdsOf(session, projects)
  await update(session, email, { project_access: 'selected', project_ids })
}

async function update(
  session: Session,
  email: string,
  body: { role?: RoleName; project_access?: 'all' | 'selected'; project_ids?: string[] },
): Promise<void> {
  const { organizationId, member } = await findMember(session, email)
  const params = { id: organizationId, user_id: member.user_id }
  const updated = await session.client.call('members.update', { params, body })
  const name = updated.email ?? updated.name
  show(session, updated, () => `${name}: ${updated.role}, projects: ${projectsOf(updated)}`)
}

async function removeMember(session: Session, [email = '']: string[]): Promise<void> {
  const { organizationId, member } = await findMember(session, email)
  const params = { id: organizationId, user_id: member.user_id }
  await session.client.call('members.remove', { params })
  show(session, { user_id: member.user_id, removed: true }, () => `Removed ${email}`)
}

async function printResetLink(session: Session, [email = '']: string[]): Promise<void> {
  const { organizationId, member } = await findMember(session, email)
  const params = { id: organizationId, user_id: member.user_id }
  const link = await session.client.call('members.resetLink', { params })
  // The link alone on standard output, so that it can be piped.
  if (!session.json) session.err(`Pass this link on to ${email} alone: it works once`)
  show(session, link, () => link.url)
}
