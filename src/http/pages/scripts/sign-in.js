// @ts-nocheck: a program of the browser, whose types this one does not have.
/* Becoming somebody: setup, sign-in, invitations and lost passwords. */

import {
  byId,
  call,
  digits,
  onClick,
  onSubmit,
  show,
  leaveForOidc,
  tell,
  tellErrorOfAddress,
} from './forms.js'

/** The secret of a link, taken out of the address bar before anything else happens. */
const token = takeToken()

function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token')
  if (given !== null) history.replaceState(null, '', location.pathname + location.search)
  return given
}

/** Where to go after signing in: a path of this site, never another one. */
function wantedPath() {
  const wanted = new URLSearchParams(location.search).get('next') ?? '/'
  const url = URL.parse(wanted, location.origin)
  const here = url !== null && url.origin === location.origin && /^\/(?![/\\])/.test(wanted)
  return here && !url.pathname.startsWith('//') ? url.pathname + url.search : '/'
}

/** Somebody who comes with an invitation accepts it by signing in. */
const oidcTrip = (path) =>
  token === null ? { return_to: path } : { return_to: '/', invitation_token: token }

function needsToken() {
  if (token !== null) return true
  show('without-token')
  tell('This link is incomplete, or the page was loaded again. Open the link once more.', 'bad')
  for (const form of document.querySelectorAll('form')) form.hidden = true
  show('explanation', false)
  show('loading', false)
  return false
}

function setupPage() {
  if (!needsToken()) return
  onSubmit(
    'setup',
    (values) => call('POST', '/api/setup', { token, ...values }),
    () => location.assign('/'),
  )
}

function signInPage() {
  const leave = () => location.assign(wantedPath() + (token === null ? '' : `#token=${token}`))
  const step = (id, input) => {
    for (const name of ['first-step', 'second-step', 'recovery-step']) show(name, name === id)
    byId(input).focus()
  }
  onSubmit(
    'sign-in',
    (values) => call('POST', '/api/auth/sign-in/email', values),
    (data) => (data.twoFactorRedirect === true ? step('second-step', 'totp-code') : leave()),
  )
  onSubmit(
    'totp',
    ({ code }) => call('POST', '/api/auth/two-factor/verify-totp', { code: digits(code) }),
    leave,
  )
  onSubmit(
    'recovery',
    ({ code }) => call('POST', '/api/auth/two-factor/verify-backup-code', { code: code.trim() }),
    leave,
  )
  onClick('use-recovery', () => step('recovery-step', 'recovery-code'))
  onClick('use-totp', () => step('second-step', 'totp-code'))
  onClick('oidc', () => leaveForOidc('/api/auth/sign-in/oidc', oidcTrip(wantedPath())))
  tellErrorOfAddress()
}

async function acceptInvitationPage() {
  if (!needsToken()) return
  const [invitation, session] = await Promise.all([
    call('POST', '/api/invitations/read', { token }),
    call('GET', '/api/auth/get-session'),
  ])
  show('loading', false)
  if (!invitation.ok) return tell(invitation.data.error, 'bad')
  const { organization, role, email, account_exists: exists } = invitation.data
  byId('invited').textContent = `You are invited to join ${organization} as ${role}.`
  show('invited')
  const signedInAs = session.data?.user?.email ?? null
  if (exists && signedInAs !== email) {
    const other = signedInAs === null ? '' : `You are signed in as ${signedInAs}. `
    byId('invited').textContent += ` ${other}Sign in as ${email} to accept.`
    const link = byId('sign-in-first').querySelector('a')
    link.href = `/sign-in?next=/accept-invitation#token=${encodeURIComponent(token)}`
    show('sign-in-first')
    return undefined
  }
  const done = () => location.assign('/')
  const accept = (fields) => call('POST', '/api/invitations/accept', { token, ...fields })
  byId('accept-new-email').value = email
  onSubmit('accept-new', ({ name, password }) => accept({ name, password }), done)
  onSubmit('accept-known', () => accept({}), done)
  show(exists ? 'accept-known' : 'accept-new')
  onClick('oidc', () => leaveForOidc('/api/auth/sign-in/oidc', oidcTrip('/')))
  show('oidc-join', !exists)
  return undefined
}

function forgotPasswordPage() {
  onSubmit(
    'forgot',
    (values) => call('POST', '/api/auth/request-password-reset', values),
    (_data, form) => {
      form.hidden = true
      show('explanation', false)
      tell('If somebody signs in with this address, a link is on its way. It works for an hour.')
    },
  )
}

function resetPasswordPage() {
  if (!needsToken()) return
  onSubmit(
    'reset',
    (values) => call('POST', '/api/auth/reset-password', { token, ...values }),
    (_data, form) => {
      form.hidden = true
      show('explanation', false)
      tell('The password is set. Sign in with it.')
    },
  )
}

const PAGES = {
  setup: setupPage,
  'sign-in': signInPage,
  'accept-invitation': acceptInvitationPage,
  'forgot-password': forgotPasswordPage,
  'reset-password': resetPasswordPage,
}
void PAGES[document.body.dataset.page]?.()
