import { createHmac, timingSafeEqual } from 'node:crypto'

import { recordAuditEvent } from '../audit/record-audit-event.ts'
import type { Database, Tx } from '../database/database.ts'
import { inTransaction } from '../database/in-transaction.ts'
import { toIsoTime, type Clock } from '../lib/clock.ts'
import { OperationError } from '../lib/errors.ts'
import type { NewId } from '../lib/ids.ts'
import type { Logger } from '../lib/logger.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { DEFAULT_ORGANIZATION_SLUG } from './organizations.ts'
import { createPerson, normalizeEmail } from './people.ts'
import type { SignIn } from './sign-in/create-sign-in.ts'
import { rememberBrowser } from './sign-in/known-browser.ts'
import { createSession } from './sign-in/sessions.ts'
import { actorOfPerson, type BrowserRequest, type CookieAnswer } from './sign-in/sign-in-deps.ts'
import type { SignedInBody } from './sign-in/sign-in-with-password.ts'

interface SetupDeps {
  db: Database
  clock: Clock
  newId: NewId
  keyring: Pick<Keyring, 'seal' | 'open'>
  config: { publicBaseUrl: string }
}

export interface SetupForm {
  token: string
  name: string
  email: string
  password: string
  organizationName: string
}

/** True until the first person was made. */
export async function isSetupNeeded(db: Database | Tx): Promise<boolean> {
  const row = await db
    .selectFrom('organizations')
    .select('setup_completed_at')
    .where('slug', '=', DEFAULT_ORGANIZATION_SLUG)
    .executeTakeFirstOrThrow()
  return row.setup_completed_at === null
}

/**
 * The link by which whoever runs this machine becomes the first person; null when there is one. It is always the same,
 * so that it can be shown again, and worth nothing once it was used.
 */
export async function readSetupLink(deps: SetupDeps): Promise<string | null> {
  if (!(await isSetupNeeded(deps.db))) return null
  const url = new URL('/setup', deps.config.publicBaseUrl)
  // The fragment never reaches a server, so no log and no proxy has it.
  return `${url.href}#token=${await setupToken(deps)}`
}

/** While nobody has set NanoScale up: writes the link to the log. Whoever reads that log runs this machine. */
export async function announceSetup(
  deps: SetupDeps & { log: Pick<Logger, 'info'> },
): Promise<void> {
  const link = await readSetupLink(deps)
  if (link !== null) deps.log.info('NanoScale waits for its first person', { link })
}

async function setupToken(deps: SetupDeps): Promise<string> {
  const secret = await readInstanceSecret(deps, 'setup')
  return createHmac('sha256', secret).update('setup link 1').digest('base64url')
}

/**
 * Makes the first person, the owner of the default organization, and signs them in. Of several at once one succeeds.
 * Throws `setup.wrong_token` and `setup.done`.
 */
export async function completeSetup(
  deps: SetupDeps & { signIn: SignIn },
  form: SetupForm,
  request: BrowserRequest,
): Promise<CookieAnswer<SignedInBody>> {
  const { cookies } = deps.signIn
  const email = normalizeEmail(form.email)
  if (!isSame(form.token, await setupToken(deps))) {
    throw new OperationError(
      'setup.wrong_token',
      'Cannot set up NanoScale: this is not its setup link. "nanoscale setup-link" on its machine prints it',
    )
  }
  if (!(await isSetupNeeded(deps.db))) throw completed()
  const passwordHash = await deps.signIn.hashPassword(form.password)
  return await inTransaction(deps.db, async (tx) => {
    const organizationId = await claimSetup(deps, tx, form.organizationName)
    const { id } = await createPerson(deps, tx, { email, name: form.name, passwordHash })
    await makeOwner(deps, tx, { userId: id, organizationId })
    await recordAuditEvent(deps, tx, {
      organizationId,
      by: actorOfPerson({ id, email }, request),
      action: 'setup.completed',
      target: { kind: 'organization', id: organizationId, name: form.organizationName },
    })
    const { address: ipAddress, userAgent } = request
    const { cookie } = await createSession({ ...deps, cookies }, tx, id, { ipAddress, userAgent })
    const user = { id, email, name: form.name }
    return { body: { user }, setCookies: [cookie, rememberBrowser(cookies, email)] }
  })
}

/** Compare-and-set: the row says who was first. */
async function claimSetup(deps: { clock: Clock }, tx: Tx, name: string): Promise<string> {
  const now = toIsoTime(deps.clock.now())
  const row = await tx
    .updateTable('organizations')
    .set({ setup_completed_at: now, name, updated_at: now })
    .where('slug', '=', DEFAULT_ORGANIZATION_SLUG)
    .where('setup_completed_at', 'is', null)
    .returning('id')
    .executeTakeFirst()
  if (row === undefined) throw completed()
  return row.id
}

async function makeOwner(
  deps: { clock: Clock; newId: NewId },
  tx: Tx,
  { userId, organizationId }: { userId: string; organizationId: string },
): Promise<void> {
  const now = toIsoTime(deps.clock.now())
  await tx
    .insertInto('organization_members')
    .values({
      id: deps.newId(),
      organization_id: organizationId,
      user_id: userId,
      role: 'owner',
      project_access: 'all',
      clerk_membership_id: null,
      joined_at: now,
      updated_at: now,
    })
    .execute()
  await tx
    .updateTable('organizations')
    .set({ created_by_user_id: userId })
    .where('id', '=', organizationId)
    .execute()
}

function completed(): OperationError {
  return new OperationError(
    'setup.done',
    'Cannot set up NanoScale: this was done before. Sign in, or ask an owner to invite you',
  )
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)]
  return one.length === other.length && timingSafeEqual(one, other)
}
