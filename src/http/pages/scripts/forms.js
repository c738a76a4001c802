// @ts-nocheck: a program of the browser, whose types this one does not have.
/* What the pages for people share. Browsers run these files as they stand. */

export const byId = (id) => document.getElementById(id)
export const show = (id, visible = true) => {
  const element = byId(id)
  if (element !== null) element.hidden = !visible
}

/** The answer of the API: never throws, a failed connection is an answer too. */
export async function call(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      credentials: 'same-origin',
      signal: AbortSignal.timeout(30_000),
    })
    const text = await response.text()
    const { ok, status } = response
    return { ok, status, data: text === '' ? {} : JSON.parse(text) }
  } catch {
    const error = 'NanoScale cannot be reached at the moment. Try again in a little while'
    return { ok: false, status: 0, data: { error } }
  }
}

/** A sentence at the top of the page, read out by screen readers. */
export function tell(text, kind = 'good') {
  const box = byId('told')
  box.textContent = text
  box.classList.toggle('bad', kind === 'bad')
  box.focus()
}

/** Tells what `?error=` says, when the page knows that word, and takes it out of the address. */
export function tellErrorOfAddress() {
  const code = new URLSearchParams(location.search).get('error')
  if (code === null) return
  const known = new Map(Object.entries(JSON.parse(byId('told').dataset.errors ?? '{}')))
  history.replaceState(null, '', location.pathname)
  if (known.has(code)) tell(known.get(code), 'bad')
}

function clearProblems(form) {
  form.querySelector('[role=alert]').textContent = ''
  for (const input of form.querySelectorAll('input[name]')) {
    input.removeAttribute('aria-invalid')
    const wrong = byId(`${input.id}-wrong`)
    wrong.hidden = true
    wrong.textContent = ''
  }
}

const capitalized = (text) => text.slice(0, 1).toUpperCase() + text.slice(1)

/** What is wrong stands at its field, anything else above the form; the first of it has the focus. */
function showProblems(form, { error, details = {} }) {
  const others = []
  let first = null
  for (const [field, messages] of Object.entries(details)) {
    const input = form.elements.namedItem(field)
    if (input === null) {
      others.push(`${field}: ${messages.join(', ')}`)
      continue
    }
    input.setAttribute('aria-invalid', 'true')
    const wrong = byId(`${input.id}-wrong`)
    wrong.textContent = capitalized(messages.join('. '))
    wrong.hidden = false
    first ??= input
  }
  const box = form.querySelector('[role=alert]')
  if (first === null || others.length > 0) box.textContent = [error, ...others].join('. ')
  ;(first ?? box).focus()
}

/** Sends the fields of a form with `send`; `done` is called with what the API answered. */
export function onSubmit(id, send, done) {
  const form = byId(id)
  if (form === null) return
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    if (form.getAttribute('aria-busy') === 'true') return
    byId('told').textContent = ''
    clearProblems(form)
    form.setAttribute('aria-busy', 'true')
    const answer = await send(Object.fromEntries(new FormData(form)))
    form.removeAttribute('aria-busy')
    if (answer.ok) await done(answer.data, form)
    else showProblems(form, answer.data)
  })
}

export const digits = (code) => code.replaceAll(' ', '')

export function onClick(id, act) {
  byId(id)?.addEventListener('click', (event) => {
    event.preventDefault()
    void act()
  })
}

/** Leaves for the single sign-on; what is wrong is told at the top of the page. */
export async function leaveForOidc(path, body) {
  const { ok, data } = await call('POST', path, body)
  if (ok) location.assign(data.url)
  else tell(data.error, 'bad')
}
