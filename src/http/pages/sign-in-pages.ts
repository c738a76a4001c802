import { OIDC_ERRORS } from '../../identity/oidc/oidc-errors.ts'
import { escapeHtml } from '../page.ts'
import { EMAIL, form, NAME, newPassword, PASSWORD, RECOVERY_CODE, TOTP_CODE } from './form.ts'
import { peoplePage } from './people-page.ts'

/** Where whoever was given the setup link becomes the first owner. */
export function setupPage(): string {
  const body = `<p id="explanation">This NanoScale belongs to nobody yet. You become its first owner.</p>
<div id="without-token" hidden><p>Only whoever runs this NanoScale can set it up, by a link that stands in its log and that this
command prints again on the machine itself:</p>
<pre><code>./nanoscale setup-link</code></pre></div>
${form('setup', {
  fields: [
    NAME,
    EMAIL,
    newPassword('password'),
    {
      name: 'organization_name',
      label: 'Name of your organization',
      autocomplete: 'organization',
      hint: 'A company, a team, or your own name.',
      attributes: 'maxlength="100"',
    },
  ],
  submit: 'Set up NanoScale',
})}`
  return peoplePage({ name: 'setup', title: 'Set up NanoScale', body })
}

/** `oidcName`: what the single sign-on is called; null when there is none. */
export function signInPage(oidcName: string | null): string {
  const otherWay =
    oidcName === null
      ? ''
      : `<p><button type="button" class="second full" id="oidc">Sign in with ${escapeHtml(oidcName)}</button></p>`
  const body = `<div id="first-step">
${form('sign-in', {
  fields: [{ ...EMAIL, attributes: `${EMAIL.attributes ?? ''} autofocus` }, PASSWORD],
  submit: 'Sign in',
})}
${otherWay}
<p><a href="/forgot-password">Forgot your password?</a></p>
</div>
<div id="second-step" hidden>
${form('totp', { fields: [TOTP_CODE], submit: 'Continue' })}
<p><a href="#recovery" id="use-recovery">Use a recovery code instead</a></p>
</div>
<div id="recovery-step" hidden>
${form('recovery', { fields: [RECOVERY_CODE], submit: 'Continue' })}
<p><a href="#totp" id="use-totp">Use the authenticator app instead</a></p>
</div>`
  return peoplePage({ name: 'sign-in', title: 'Sign in', body, errors: OIDC_ERRORS })
}

/** Where an invitation leads: a new account, or one that exists already joins. */
export function acceptInvitationPage(oidcName: string | null): string {
  const otherWay =
    oidcName === null
      ? ''
      : `<p id="oidc-join" hidden><button type="button" class="second full" id="oidc">Join with ${escapeHtml(oidcName)}</button></p>`
  const body = `<div id="loading" class="soft" role="status">Looking at your invitation …</div>
<p id="invited" hidden></p>
${form('accept-new', {
  fields: [
    {
      ...EMAIL,
      attributes: 'readonly',
      hint: 'This invitation is for this address. You will sign in with it.',
    },
    NAME,
    newPassword('password'),
  ],
  submit: 'Join',
  hidden: true,
})}
${otherWay}
${form('accept-known', { fields: [], submit: 'Join', hidden: true })}
<p id="sign-in-first" hidden><a class="button" href="/sign-in">Sign in to accept</a></p>`
  return peoplePage({ name: 'accept-invitation', title: 'Your invitation', body })
}

/** Without a mail server a link has to come from somebody else. */
export function forgotPasswordPage(sendsMail: boolean): string {
  const body = sendsMail
    ? `<p id="explanation">Tell us the address you sign in with, and you get a link to choose a new password.</p>
${form('forgot', { fields: [EMAIL], submit: 'Send me a link' })}`
    : `<p>This NanoScale sends no mail. An owner of your organization can make a link for you, by which you choose a new
password. So can whoever runs this machine:</p>
<pre><code>./nanoscale members reset-link you@example.com</code></pre>`
  const back = '<p><a href="/sign-in">Back to signing in</a></p>'
  const title = 'Forgot your password?'
  return peoplePage({ name: 'forgot-password', title, body: `${body}\n${back}` })
}

export function resetPasswordPage(): string {
  const body = `<p id="explanation">All browsers that are signed in as you will be signed out.</p>
${form('reset', { fields: [newPassword('newPassword')], submit: 'Set the password' })}
<p><a href="/sign-in">Back to signing in</a></p>`
  return peoplePage({ name: 'reset-password', title: 'Choose a new password', body })
}
