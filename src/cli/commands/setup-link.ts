import type { AddCommand } from '../add-command.ts'
import { show, type Session } from '../session.ts'

export const addSetupLink: AddCommand = (program, run) => {
  program
    .command('setup-link')
    .description('Print the link by which the first person is made')
    .action(run((session) => printSetupLink(session)))
}

async function printSetupLink(session: Session): Promise<void> {
  const link = await session.client.call('setup.link', {})
  show(session, link, () => link.url ?? 'NanoScale is set up: people sign in, or are invited.')
}
