// @ts-nocheck: a program of the browser, whose types this one does not have.
/* The own account. */

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

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })
const at = (iso) => moment.format(new Date(iso))

/** A line with a text, what is known besides, and perhaps a button. */
function row(text, more, button) {
  const line = document.createElement('li')
  const words = document.createElement('span')
  words.append(text, document.createElement('br'))
  const small = document.createElement('small')
  small.className = 'soft'
  small.textContent = more
  words.append(small)
  line.append(words)
  if (button !== undefined) {
    const element = document.createElement('button')
    element.type = 'button'
    element.className = 'second'
    element.textContent = button.label
    element.setAttribute('aria-label', `${button.label}: ${text}, ${more}`)
    element.addEventListener('click', () => void button.act())
    line.append(element)
  }
  return line
}

/** "Firefox on Linux" is enough to know one's own browsers by. */
function browserName(userAgent) {
  const agent = userAgent ?? ''
  const known = [
    ['Edg/', 'Edge'],
    ['Firefox/', 'Firefox'],
    ['Chrome/', 'Chrome'],
    ['Safari/', 'Safari'],
  ]
  const systems = ['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS', 'Linux']
  const browser = known.find(([mark]) => agent.includes(mark))?.[1] ?? 'Another browser'
  const system = systems.find((name) => agent.includes(name))
  return system === undefined ? browser : `${browser} on ${system}`
}

function showMe({ user, role, organization, organizations }) {
  byId('email').textContent = user.email
  byId('role').textContent = organization === null ? '' : `${role} of ${organization.name}`
  byId('profile-name').value = user.name
  for (const input of document.querySelectorAll('.username')) input.value = user.email
  byId('organizations').replaceChildren(
    ...organizations.map(({ name, slug, role: theirs }) => row(name, `${slug} · ${theirs}`)),
  )
  if (organizations.length === 0) {
    byId('organizations').append(row('None', 'Nobody has invited you, or your membership ended.'))
  }
  showFactor(user.two_factor_enabled ? 'on' : 'off')
}

function showFactor(state) {
  for (const name of ['off', 'confirm', 'on']) show(`factor-${name}`, name === state)
}

async function showSessions() {
  const { ok, data } = await call('GET', '/api/me/sessions')
  if (!ok) return
  const end = async (session) => {
    const ended = await call('DELETE', `/api/me/sessions/${encodeURIComponent(session.id)}`)
    if (!ended.ok) return tell(ended.data.error, 'bad')
    await showSessions()
    return tell('That browser is signed out.')
  }
  byId('sessions').replaceChildren(
    ...data.items.map((session) => {
      const name = browserName(session.user_agent)
      const facts = [session.ip_address, `since ${at(session.created_at)}`]
        .filter(Boolean)
        .join(' · ')
      return session.current
        ? row(`${name} (this one)`, facts)
        : row(name, facts, { label: 'End', act: () => end(session) })
    }),
  )
}

const unusable = ({ usable }) => (usable ? '' : ' · not in use on this NanoScale any more')

async function showIdentities() {
  if (byId('identities') === null) return
  const { ok, data } = await call('GET', '/api/me/identities')
  if (!ok) return
  const remove = async (identity) => {
    const removed = await call('DELETE', `/api/me/identities/${encodeURIComponent(identity.id)}`)
    if (!removed.ok) return tell(removed.data.error, 'bad')
    await showIdentities()
    return tell('It is disconnected.')
  }
  byId('identities').replaceChildren(
    ...data.items.map((identity) =>
      row(
        identity.name,
        `${identity.issuer} · connected ${at(identity.linked_at)}${unusable(identity)}`,
        {
          label: 'Disconnect',
          act: () => remove(identity),
        },
      ),
    ),
  )
  show('no-identities', data.items.length === 0)
}

function onProfile() {
  onSubmit(
    'profile',
    (values) => call('PATCH', '/api/me', values),
    () => tell('Your name is changed.'),
  )
  onSubmit(
    'change-password',
    (values) => call('POST', '/api/auth/change-password', { ...values, revokeOtherSessions: true }),
    async (_data, form) => {
      form.reset()
      await showSessions()
      tell('The password is changed. Your other browsers are signed out.')
    },
  )
  onClick('sign-out', async () => {
    const { ok, data } = await call('POST', '/api/auth/sign-out', {})
    if (ok) location.assign('/sign-in')
    else tell(data.error, 'bad')
  })
  onClick('link-identity', () => leaveForOidc('/api/auth/oidc/link', { return_to: '/account' }))
}

function onSecondFactor() {
  onSubmit(
    'factor-enable',
    (values) => call('POST', '/api/auth/two-factor/enable', values),
    ({ totpURI, backupCodes }, form) => {
      form.reset()
      const uri = String(totpURI)
      byId('otpauth').href = uri.startsWith('otpauth://') ? uri : '#'
      byId('secret').textContent = new URL(uri).searchParams.get('secret')
      byId('recovery-codes').replaceChildren(
        ...backupCodes.map((code) =>
          Object.assign(document.createElement('li'), { textContent: code }),
        ),
      )
      showFactor('confirm')
      byId('factor-confirm').focus()
    },
  )
  onSubmit(
    'factor-verify',
    ({ code }) => call('POST', '/api/auth/two-factor/verify-totp', { code: digits(code) }),
    (_data, form) => {
      form.reset()
      byId('recovery-codes').replaceChildren()
      byId('secret').textContent = ''
      byId('otpauth').removeAttribute('href')
      showFactor('on')
      tell('The second factor is on.')
    },
  )
  onSubmit(
    'factor-disable',
    (values) => call('POST', '/api/auth/two-factor/disable', values),
    (_data, form) => {
      form.reset()
      showFactor('off')
      tell('The second factor is off.')
    },
  )
}

async function start() {
  const me = await call('GET', '/api/me')
  if (me.status === 401) return location.replace('/sign-in?next=/account')
  if (!me.ok || me.data.user === null) {
    show('loading', false)
    return tell(me.data.error ?? 'This page is for people: sign in first.', 'bad')
  }
  showMe(me.data)
  await Promise.all([showSessions(), showIdentities()])
  onProfile()
  onSecondFactor()
  show('loading', false)
  show('account')
  tellErrorOfAddress()
  return undefined
}

void start()
