import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { RouteInput } from '../contract/route.ts'
import type { Routes } from '../contract/routes.ts'
import { inTransaction } from '../database/in-transaction.ts'
import {
  acceptInvitationInTransaction,
  findOpenInvitation,
  lockOpenInvitation,
  type OpenInvitation,
} from '../identity/accept-invitation.ts'
import { hashToken } from '../identity/hash-token.ts'
import { createInvitation, listInvitations, revokeInvitation } from '../identity/invitations.ts'
import { createPerson, findPersonByEmail, type Person } from '../identity/people.ts'
import { createSession } from '../identity/sign-in/sessions.ts'
import { OperationError } from '../lib/errors.ts'
import { invitationMessage } from '../mail/messages.ts'
import { refuseFurtherPeople } from './further-people.ts'
import { askingPersonOf, organizationOf, type Handlers, type RequestFacts } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { jsonResponse } from './json-response.ts'
import { pageOfRows } from './page-of-rows.ts'

type InvitationHandlers = Pick<
  Handlers,
  | 'invitations.list'
  | 'invitations.create'
  | 'invitations.revoke'
  | 'invitations.read'
  | 'invitations.accept'
>

type Deps = Pick<
  HttpApp,
  'db' | 'clock' | 'newId' | 'log' | 'config' | 'instance' | 'mailer' | 'signIn'
>

type AcceptBody = RouteInput<Routes['invitations.accept']>['body']

export function invitationHandlers(app: Deps): InvitationHandlers {
  return { ...ownerHandlers(app), ...guestHandlers(app) }
}

function ownerHandlers(app: Deps) {
  return {
    'invitations.list': async ({ query }, request) => {
      const page = { after: query.cursor ?? null, limit: query.limit + 1 }
      const rows = await listInvitations(app.db, organizationOf(request), page)
      const { rows: shown, next_cursor } = pageOfRows(rows, query.limit)
      const items = shown.map(({ inviter_name, ...row }) => ({ ...row, invited_by: inviter_name }))
      return { items, next_cursor }
    },
    'invitations.create': async ({ body }, request) => {
      await refuseFurtherPeople(app)
      const created = await createInvitation(app, organizationOf(request), {
        email: body.email,
        role: body.role,
        projectAccess: body.project_access,
        projectIds: body.project_ids,
        invitedByUserId: askingPersonOf(request),
        by: request.actor,
      })
      const { invitation, token, organizationName } = created
      const invitedBy = await inviterName(app, request)
      const link = `${app.config.publicBaseUrl}/accept-invitation#token=${token}`
      const message = invitationMessage({
        organization: organizationName,
        inviter: invitedBy,
        role: invitation.role,
        link,
        expiresAt: invitation.expires_at,
      })
      const sent = await sendMail(app, { to: invitation.email, ...message }, request.signal)
      return { ...invitation, invited_by: invitedBy, sent, url: sent ? null : link }
    },
    'invitations.revoke': async ({ params }, request) => {
      const id = params.invitation_id
      await revokeInvitation(app, organizationOf(request), id, request.actor)
    },
  } satisfies Partial<InvitationHandlers>
}

async function inviterName(app: Deps, request: RequestFacts): Promise<string | null> {
  const id = askingPersonOf(request)
  if (id === null) return null
  const user = await app.db
    .selectFrom('users')
    .select('name')
    .where('id', '=', id)
    .executeTakeFirst()
  return user?.name ?? null
}

/** False: the link has to be passed on by whoever asked for it. The mailer logs why. */
async function sendMail(
  app: Deps,
  message: Parameters<Deps['mailer']['send']>[0],
  signal: AbortSignal,
): Promise<boolean> {
  if (!app.mailer.configured) return false
  try {
    await app.mailer.send(message, signal)
    return true
  } catch (error) {
    if (error instanceof OperationError) return false
    throw error
  }
}

function guestHandlers(app: Deps) {
  return {
    'invitations.read': async ({ body }) => {
      const invitation = await findOpenInvitation(app.db, app, hashToken(body.token))
      const { organization, role, email, expires_at } = invitation
      const account_exists = (await findPersonByEmail(app.db, email)) !== undefined
      return { organization: organization.name, role, email, account_exists, expires_at }
    },
    'invitations.accept': async ({ body }, request) => {
      await refuseFurtherPeople(app)
      const tokenHash = hashToken(body.token)
      const invitation = await findOpenInvitation(app.db, app, tokenHash)
      const person = await findPersonByEmail(app.db, invitation.email)
      refuseOtherPerson(invitation, person, request)
      return person === undefined
        ? await acceptAsNewPerson(app, { tokenHash, invitation, body }, request)
        : await acceptAsKnownPerson(app, { tokenHash, userId: person.id }, request)
    },
  } satisfies Partial<InvitationHandlers>
}

/** An invitation is for one address: who is signed in must be that person, and nobody else signs up by it. */
function refuseOtherPerson(
  invitation: OpenInvitation,
  person: Person | undefined,
  { principal }: RequestFacts,
): void {
  const { email } = invitation
  const asker = principal?.kind === 'user' ? principal.userId : null
  if (asker === (person?.id ?? null)) return
  const message =
    asker === null
      ? `Cannot accept the invitation of "${email}" yet: sign in as this address first`
      : `Cannot accept the invitation of "${email}": you are signed in as somebody else`
  throw new OperationError('invitation.other_person', message)
}

function acceptAsKnownPerson(
  app: Deps,
  input: { tokenHash: string; userId: string },
  request: RequestFacts,
) {
  return inTransaction(app.db, (tx) =>
    acceptInvitationInTransaction(app, tx, { ...input, by: request.actor }),
  )
}

async function acceptAsNewPerson(
  app: Deps,
  input: { tokenHash: string; invitation: OpenInvitation; body: AcceptBody },
  request: RequestFacts,
): Promise<Response> {
  const { tokenHash, invitation } = input
  const { name, password } = newPersonOf(input.body)
  const passwordHash = await app.signIn.hashPassword(password)
  const deps = { ...app, cookies: app.signIn.cookies }
  const from = { ipAddress: request.address, userAgent: request.headers.get('user-agent') }
  const { cookie, ...accepted } = await inTransaction(app.db, async (tx) => {
    const { email } = await lockOpenInvitation(app, tx, tokenHash)
    const { id: userId } = await createPerson(app, tx, { email, name, passwordHash })
    const { address, requestId } = request.actor
    const by = { kind: 'user' as const, id: userId, name: email, address, requestId }
    const joined = await acceptInvitationInTransaction(app, tx, { tokenHash, userId, by })
    const session = await createSession(deps, tx, userId, from)
    await recordAuditEvent(app, tx, {
      organizationId: invitation.organization.id,
      by,
      action: 'sign_in.succeeded',
      target: { kind: 'user', id: userId, name: email },
      details: { method: 'invitation' },
    })
    return { ...joined, cookie: session.cookie }
  })
  return jsonResponse(200, accepted, { setCookies: [cookie] })
}

function newPersonOf(body: AcceptBody): { name: string; password: string } {
  const { name, password } = body
  if (name !== undefined && password !== undefined) return { name, password }
  const details = Object.fromEntries(
    Object.entries({ name, password })
      .filter(([, value]) => value === undefined)
      .map(([field]) => [field, ['nobody has an account with this address yet: choose one']]),
  )
  const message = 'Cannot accept the invitation without a name and a password for the new account'
  throw new OperationError('invitation.incomplete', message, { details })
}
