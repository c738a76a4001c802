import { html } from '../answer.ts'
import type { Answer } from '../answer.ts'
import type { Github } from '../github.ts'
import type { Account } from '../state.ts'

export function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** A page of the stand-in; `content` is HTML. */
export function toPage(title: string, content: string, status = 200): Answer {
  const style = `body{font:16px/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}
fieldset{margin:1rem 0;border:1px solid #ccc;border-radius:6px}label{display:block}
button{font:inherit;padding:.4rem 1rem;margin-right:.5rem}code{background:#eee;padding:0 .2rem}`
  return html(
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escape(title)}</title>
<style>${style}</style><h1>${escape(title)}</h1>${content}
<p><small>Not GitHub: a stand-in for tests.</small></p></html>`,
    status,
  )
}

/** A form that posts to where it stands, with fields that are not shown. */
export function toForm(
  action: string,
  hidden: Readonly<Record<string, string>>,
  content: string,
): string {
  const fields = Object.entries(hidden).map(([name, value]) => {
    return `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`
  })
  return `<form method="post" action="${escape(action)}">${fields.join('')}${content}</form>`
}

/** There are no passwords here: whoever clicks says who they are. */
export function toPeopleChoice(github: Github, people = listPeople(github)): string {
  const options = people.map(({ login }) => `<option>${escape(login)}</option>`)
  return `<label>You are <select name="login">${options.join('')}</select></label>`
}

export function listPeople(github: Github): Account[] {
  return [...github.state.accounts.values()].filter(({ type }) => type === 'User')
}

/** Adds parameters to an address that a client registered. */
export function withQuery(
  url: string,
  parameters: Readonly<Record<string, string | null>>,
): string {
  const target = new URL(url)
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null) target.searchParams.set(name, value)
  }
  return target.href
}
