import { OIDC_ERRORS } from '../../identity/oidc/oidc-errors.ts'
import { escapeHtml } from '../page.ts'
import { form, NAME, newPassword, PASSWORD, PASSWORD_AGAIN, TOTP_CODE } from './form.ts'
import { peoplePage } from './people-page.ts'

/** All that somebody may see and change of the own account. The script fills it in, then shows it at once. */
export function accountPage(oidcName: string | null): string {
  const body = `<div id="loading" class="soft" role="status">Loading …</div>
<div id="account" hidden>
<p>Signed in as <strong id="email"></strong> <span class="soft" id="role"></span></p>
<p><button class="second" id="sign-out" type="button">Sign out</button></p>
<h2>Name</h2>
${form('profile', { fields: [NAME], submit: 'Save', second: true })}
<h2>Organizations</h2>
<ul class="rows" id="organizations"></ul>
<h2>Signed-in browsers</h2>
<ul class="rows" id="sessions"></ul>
<section id="password-section"><h2>Password</h2>
${form('change-password', {
  fields: [
    { ...PASSWORD, name: 'currentPassword', label: 'Current password' },
    newPassword('newPassword'),
  ],
  submit: 'Change the password',
  username: true,
  second: true,
})}</section>
${secondFactor()}
${oidcName === null ? '' : identities(oidcName)}
</div>`
  return peoplePage({
    name: 'account',
    title: 'Your account',
    body,
    wide: true,
    errors: OIDC_ERRORS,
  })
}

function secondFactor(): string {
  return `<section id="second-factor"><h2>Second factor</h2>
<div id="factor-off"><p>With a second factor, signing in also asks for a code of an authenticator app. A stolen password is
then not enough.</p>
${form('factor-enable', { fields: [PASSWORD_AGAIN], username: true, submit: 'Turn it on', second: true })}</div>
<div id="factor-confirm" hidden tabindex="-1">
<p><strong>1.</strong> Add NanoScale to your authenticator app: <a id="otpauth">open the app on this device</a>, or type this
secret into it:</p>
<p><code id="secret"></code></p>
<p><strong>2.</strong> Keep these recovery codes where you keep passwords. Each replaces a code once, if you lose the app.
They are not shown again.</p>
<ul class="codes" id="recovery-codes"></ul>
<p><strong>3.</strong> Prove that it works. Only then is the second factor on.</p>
${form('factor-verify', { fields: [TOTP_CODE], submit: 'Turn it on' })}</div>
<div id="factor-on" hidden><p>The second factor is on.</p>
${form('factor-disable', { fields: [PASSWORD_AGAIN], username: true, submit: 'Turn it off', second: true })}</div>
</section>`
}

function identities(oidcName: string): string {
  const name = escapeHtml(oidcName)
  return `<section id="identities-section"><h2>Other ways to sign in</h2>
<p id="no-identities" class="soft" hidden>None yet.</p>
<ul class="rows" id="identities"></ul>
<p><button type="button" class="second" id="link-identity">Connect ${name}</button></p></section>`
}
