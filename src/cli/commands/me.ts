import type { AddCommand } from '../add-command.ts'
import { formatFields } from '../format.ts'
import { show, type Session } from '../session.ts'

export const addMe: AddCommand = (program, run) => {
  program.command('me').description('Show who asks, and in which organization').action(run(showMe))
}

async function showMe(session: Session): Promise<void> {
  const me = await session.client.call('me', {})
  show(session, me, () =>
    formatFields([
      ['Asking as', me.token === null ? me.kind : `token "${me.token.name}"`],
      ['Person', me.user === null ? null : `${me.user.name} <${me.user.email ?? '-'}>`],
      ['Organization', me.organization === null ? 'none' : nameOf(me.organization)],
      ['Role', me.role],
      ['Scopes', me.scopes === null ? null : me.scopes.join(', ')],
    ]),
  )
}

function nameOf({ name, slug }: { name: string; slug: string }): string {
  return `${name} (${slug})`
}
