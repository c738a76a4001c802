import { permitResetLink, removeMember, updateMember } from '../identity/change-members.ts'
import { listMembers, type Member } from '../identity/members.ts'
import { createResetLink } from '../identity/sign-in/passwords.ts'
import { OperationError } from '../lib/errors.ts'
import { askingPersonOf, membershipOf, organizationOf, type Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'

type MemberHandlers = Pick<
  Handlers,
  'members.list' | 'members.update' | 'members.remove' | 'members.leave' | 'members.resetLink'
>

type Deps = Pick<HttpApp, 'db' | 'clock' | 'newId' | 'config' | 'mailer'>

export function memberHandlers(app: Deps): MemberHandlers {
  return {
    'members.list': async ({ query }, request) => {
      const { limit, email } = query
      const { organizationId, reach } = membershipOf(request)
      const page = { after: query.cursor ?? null, limit, email, reach }
      const { items, next } = await listMembers(app.db, organizationId, page)
      return { items: items.map(view), next_cursor: next }
    },
    'members.update': async ({ params, body }, request) => {
      const of = { organizationId: organizationOf(request), userId: params.user_id }
      return view(await updateMember(app, of, { change: body, by: request.actor }))
    },
    'members.remove': async ({ params }, request) => {
      const of = { organizationId: organizationOf(request), userId: params.user_id }
      await removeMember(app, of, request.actor)
    },
    'members.leave': async (_input, request) => {
      const userId = askingPersonOf(request)
      if (userId === null) {
        const message = 'Cannot leave as the operator: only members leave an organization'
        throw new OperationError('http.forbidden', message)
      }
      await removeMember(app, { organizationId: organizationOf(request), userId }, request.actor)
    },
    'members.resetLink': async ({ params }, request) => {
      const organizationId = organizationOf(request)
      const userId = params.user_id
      const byOperator = request.principal?.kind === 'operator'
      const asker = { byOperator, by: request.actor }
      await permitResetLink(app, { organizationId, userId }, asker)
      const link = await createResetLink(app, userId, { endsSecondFactor: true })
      return { ...link, mail_works: app.mailer.configured }
    },
  }
}

function view({ clerk_membership_id, ...member }: Member) {
  return { ...member, from_clerk: clerk_membership_id !== null }
}
