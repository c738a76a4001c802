import { MIN_PASSWORD_LENGTH } from '../../identity/sign-in/library-options.ts'
import { escapeHtml } from '../page.ts'

interface Field {
  /** As the API calls it. */
  name: string
  label: string
  type?: 'text' | 'email' | 'password'
  /** What browsers and password managers fill in. */
  autocomplete: string
  hint?: string
  /** Further attributes, already safe. */
  attributes?: string
}

/** One labelled input with room for what is wrong with it. */
function input(form: string, field: Field): string {
  const id = `${form}-${field.name}`
  const hint = field.hint === undefined ? '' : ` ${id}-hint`
  return `<div class="field"><label for="${id}">${escapeHtml(field.label)}</label>
<input id="${id}" name="${field.name}" type="${field.type ?? 'text'}" autocomplete="${field.autocomplete}" required
 aria-describedby="${id}-wrong${hint}" ${field.attributes ?? ''}>
${field.hint === undefined ? '' : `<p class="hint" id="${id}-hint">${escapeHtml(field.hint)}</p>`}
<p class="wrong" id="${id}-wrong" hidden></p></div>`
}

/** A form whose fields the script sends as JSON. Without the script it sends nothing: passwords must not reach a URL. */
export function form(
  id: string,
  options: {
    fields: readonly Field[]
    submit: string
    hidden?: boolean
    second?: boolean
    /** Nobody types who they are, but password managers want to know. */
    username?: boolean
  },
): string {
  const { fields, submit, hidden = false, second = false, username = false } = options
  return `<form id="${id}" method="post"${hidden ? ' hidden' : ''}>
<div class="told bad" role="alert" tabindex="-1"></div>
${username ? '<input class="username" type="text" autocomplete="username" hidden>' : ''}
${fields.map((field) => input(id, field)).join('\n')}
<p><button${second ? ' class="second"' : ''}>${escapeHtml(submit)}</button></p>
</form>`
}

/** The address somebody signs in with. */
export const EMAIL: Field = {
  name: 'email',
  label: 'E-mail address',
  type: 'email',
  autocomplete: 'username',
  attributes: 'maxlength="254" spellcheck="false" autocapitalize="none"',
}

export const NAME: Field = {
  name: 'name',
  label: 'Your name',
  autocomplete: 'name',
  attributes: 'maxlength="100"',
}

export const PASSWORD: Field = {
  name: 'password',
  label: 'Password',
  type: 'password',
  autocomplete: 'current-password',
}

/** A password that is being chosen. Long ones need no other rules. */
export function newPassword(name: string): Field {
  return {
    name,
    label: name === 'password' ? 'Password' : 'New password',
    type: 'password',
    autocomplete: 'new-password',
    hint: `At least ${MIN_PASSWORD_LENGTH} characters. A few words that nobody would guess are fine.`,
  }
}

/** Before something that a stolen browser must not be enough for. */
export const PASSWORD_AGAIN: Field = { ...PASSWORD, label: 'Your password, to be sure it is you' }

export const TOTP_CODE: Field = {
  name: 'code',
  label: 'Code of your authenticator app',
  autocomplete: 'one-time-code',
  attributes: 'inputmode="numeric" pattern="[0-9 ]{6,8}" maxlength="8" title="Six digits"',
}

export const RECOVERY_CODE: Field = {
  name: 'code',
  label: 'Recovery code',
  autocomplete: 'off',
  hint: 'One of the codes that you kept when you turned the second factor on. Each works once.',
  attributes: 'maxlength="64" spellcheck="false" autocapitalize="none"',
}
