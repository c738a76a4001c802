import { Command } from 'commander'

import type { AddCommand, Run } from './add-command.ts'
import { addAudit } from './commands/audit.ts'
import { addDeployments } from './commands/deployments.ts'
import { addDomains } from './commands/domains.ts'
import { addEnv } from './commands/env.ts'
import { addGithub } from './commands/github.ts'
import { addInvitations } from './commands/invitations.ts'
import { addLogs } from './commands/logs.ts'
import { addMe } from './commands/me.ts'
import { addMembers } from './commands/members.ts'
import { addOpen } from './commands/open.ts'
import { addOrganizations } from './commands/organizations.ts'
import { addProjects } from './commands/projects.ts'
import { addSetupLink } from './commands/setup-link.ts'
import { addTokens } from './commands/tokens.ts'
import type { ConnectionOptions } from './connection.ts'
import type { Session } from './session.ts'

export type GlobalOptions = ConnectionOptions & { json?: boolean }

const COMMANDS: readonly AddCommand[] = [
  addProjects,
  addDeployments,
  addLogs,
  addEnv,
  addDomains,
  addGithub,
  addOpen,
  addTokens,
  addOrganizations,
  addMembers,
  addInvitations,
  addMe,
  addAudit,
  addSetupLink,
]

/** The commands that talk to a running NanoScale. `openSession` is called when one of them runs, not before. */
export function createProgram(openSession: (options: GlobalOptions) => Session): Command {
  const program = new Command('nanoscale')
    .description('Deploys apps from Git repositories and serves them')
    .option('--json', 'print JSON for programs')
    .option('--url <url>', 'NanoScale on another machine (or NANOSCALE_URL)')
    .option('--token <token>', 'its API token (better: NANOSCALE_TOKEN)')
    .option('--org <slug>', 'organization, on the machine of NanoScale itself')
    .showSuggestionAfterError()
    .helpCommand(false)
    .exitOverride()
  const run: Run =
    (action) =>
    async (...given) => {
      const command = given.at(-1) as Command
      const options: unknown = given.at(-2)
      const args = given.slice(0, -2).flat() as string[]
      await action(openSession(command.optsWithGlobals<GlobalOptions>()), args, options as never)
    }
  for (const add of COMMANDS) add(program, run)
  program.addHelpText('after', AFTER_HELP)
  return program
}

const AFTER_HELP = `
Of this machine's NanoScale:
  start                          Start it here and stay in the foreground
  stop [--all]                   Stop it; with --all traffic and apps too

Exit codes: 0 done, 1 it failed, 2 not understood, 3 NanoScale was not reached.`
