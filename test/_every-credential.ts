import assert from 'node:assert/strict'

import { type Browser, sessionCookie, tokenOf } from './_browser.ts'
import { fromBase32, secretOf, totpOf } from './_totp.ts'

/** Awkward on purpose: whatever escapes or encodes it writes it differently. */
const PASSWORD = 'Pa"ss\\wörd & 漢字 %41 +/='

interface Surroundings {
  newBrowser(): Browser
  /** As the operator. */
  operator(method: string, path: string, body?: unknown): Promise<Record<string, unknown>>
  /** Of the link that the first start printed. */
  setupToken: string
  /** A repository that projects may have. */
  repository: { repo_url: string; branch: string }
}

/**
 * One of everything that opens something is made and used: the credentials by name, all of which are NanoScale's or its
 * people's secrets. The first person is ada@example.com, the second grace@example.com.
 */
export async function useEveryCredential(around: Surroundings): Promise<Map<string, string>> {
  const credentials = new Map<string, string>([['setup token', around.setupToken]])
  const owner = await setUp(around, credentials)
  const { id: organization } = await own(owner)
  await invite(around, owner, organization, credentials)
  await changePassword(owner, credentials)
  await useToken(around, owner, credentials)
  await keepVariables(around, owner, credentials)
  await useSecondFactor(around, owner, credentials)
  await forgetPassword(around, organization, owner, credentials)
  return credentials
}

async function own(browser: Browser): Promise<{ id: string }> {
  const { organization } = await browser.must('GET', '/api/me')
  return organization as { id: string }
}

async function setUp(around: Surroundings, credentials: Map<string, string>): Promise<Browser> {
  const browser = around.newBrowser()
  const password = `${PASSWORD} first`
  await browser.must('POST', '/api/setup', {
    token: around.setupToken,
    name: 'Ada',
    email: 'ada@example.com',
    password,
    organization_name: 'Acme',
  })
  credentials.set('first password', password)
  noteSession('session of the setup', browser, credentials)
  return browser
}

/** As the browser keeps it, as it was signed, and the two parts of that. */
function noteSession(name: string, browser: Browser, credentials: Map<string, string>): void {
  const value = decodeURIComponent(sessionCookie(browser))
  const [token = ''] = value.split('.')
  credentials.set(`${name}, cookie`, sessionCookie(browser))
  credentials.set(`${name}, signed`, value)
  credentials.set(`${name}, token`, token)
}

async function invite(
  around: Surroundings,
  owner: Browser,
  organization: string,
  credentials: Map<string, string>,
): Promise<void> {
  const { url } = await owner.must('POST', `/api/organizations/${organization}/invitations`, {
    email: 'grace@example.com',
    role: 'member',
  })
  const token = tokenOf(url)
  const guest = around.newBrowser()
  const password = `${PASSWORD} guest`
  await guest.must('POST', '/api/invitations/read', { token })
  await guest.must('POST', '/api/invitations/accept', { token, name: 'Grace', password })
  credentials.set('invitation token', token)
  credentials.set('password of the guest', password)
  noteSession('session of the guest', guest, credentials)
  const open = await owner.must('POST', `/api/organizations/${organization}/invitations`, {
    email: 'edsger@example.com',
    role: 'viewer',
  })
  credentials.set('open invitation token', tokenOf(open['url']))
}

async function changePassword(owner: Browser, credentials: Map<string, string>): Promise<void> {
  const newPassword = `${PASSWORD} second`
  const currentPassword = `${PASSWORD} first`
  await owner.must('POST', '/api/auth/change-password', { currentPassword, newPassword })
  credentials.set('second password', newPassword)
  noteSession('session after the change', owner, credentials)
}

async function useToken(
  around: Surroundings,
  owner: Browser,
  credentials: Map<string, string>,
): Promise<void> {
  const { token } = await owner.must('POST', '/api/tokens', { name: 'laptop' })
  const program = around.newBrowser()
  const authorization = `Bearer ${String(token)}`
  const answer = await program.send('GET', '/api/projects', undefined, { authorization })
  assert.equal(answer.status, 200, answer.text)
  credentials.set('API token', String(token))
  const wrong = `nsk_${'wrong-but-somebodys'.repeat(2)}`
  const refused = { authorization: `Bearer ${wrong}` }
  assert.equal((await program.send('GET', '/api/projects', undefined, refused)).status, 401)
  credentials.set('a wrong API token', wrong)
}

async function keepVariables(
  around: Surroundings,
  owner: Browser,
  credentials: Map<string, string>,
): Promise<void> {
  const value = `variable ${PASSWORD}`
  const environment = [{ name: 'SECRET', value, scope: 'run' }]
  const project = { name: 'shop', ...around.repository, environment }
  await owner.must('POST', '/api/projects', project)
  credentials.set('variable', value)
}

async function useSecondFactor(
  around: Surroundings,
  owner: Browser,
  credentials: Map<string, string>,
): Promise<void> {
  const password = `${PASSWORD} second`
  const { totpURI, backupCodes } = await owner.must('POST', '/api/auth/two-factor/enable', {
    password,
  })
  const uri = String(totpURI)
  const recovery = backupCodes as string[]
  credentials.set('TOTP secret', secretOf(uri))
  credentials.set('TOTP secret, decoded', fromBase32(secretOf(uri)).toString('latin1'))
  for (const code of recovery) credentials.set(`recovery code ${code}`, code)
  const verify = (browser: Browser, code: string) =>
    browser.must('POST', '/api/auth/two-factor/verify-totp', { code })
  await verify(owner, totpOf(uri, Date.now()))
  noteSession('session with a second factor', owner, credentials)

  const signIn = async () => {
    const browser = around.newBrowser()
    const credentialsOfAda = { email: 'ada@example.com', password }
    const answer = await browser.must('POST', '/api/auth/sign-in/email', credentialsOfAda)
    assert.equal(answer['twoFactorRedirect'], true)
    for (const [name, cookie] of browser.cookies) {
      if (/two_factor/.test(name)) credentials.set('cookie between the factors', cookie)
    }
    return browser
  }
  const byApp = await signIn()
  await verify(byApp, totpOf(uri, Date.now() + 30_000))
  noteSession('session by the app', byApp, credentials)
  const byRecovery = await signIn()
  const [code] = recovery
  await byRecovery.must('POST', '/api/auth/two-factor/verify-backup-code', { code })
  noteSession('session by a recovery code', byRecovery, credentials)
}

async function forgetPassword(
  around: Surroundings,
  organization: string,
  owner: Browser,
  credentials: Map<string, string>,
): Promise<void> {
  const members = `/api/organizations/${organization}/members`
  const { items } = await owner.must('GET', members)
  const ada = (items as { user_id: string; email: string }[]).find(
    ({ email }) => email === 'ada@example.com',
  )
  const link = () => around.operator('POST', `${members}/${ada?.user_id ?? ''}/reset-link`)
  const used = tokenOf((await link())['url'])
  const newPassword = `${PASSWORD} third`
  const browser = around.newBrowser()
  await browser.must('POST', '/api/auth/reset-password', { token: used, newPassword })
  credentials.set('used reset token', used)
  credentials.set('third password', newPassword)
  credentials.set('open reset token', tokenOf((await link())['url']))
  const wrong = `${PASSWORD} wrong`
  const refused = { email: 'ada@example.com', password: wrong }
  assert.equal((await browser.send('POST', '/api/auth/sign-in/email', refused)).status, 401)
  credentials.set('a wrong password', wrong)
}
