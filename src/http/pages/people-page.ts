import { escapeHtml, page } from '../page.ts'

const STYLE = `
body { max-width: 26rem; margin: clamp(1.5rem, 8vh, 5rem) auto 3rem; --accent: light-dark(#1d4ed8, #8ab4ff);
  --on-accent: light-dark(#fff, #0b1220); --line: light-dark(#767676, #8c8c8c); --soft: light-dark(#595959, #b4b4b4);
  --wrong: light-dark(#b00020, #ff9a9a); background: light-dark(#fff, #16181d); color: light-dark(#1a1a1a, #e8e8e8) }
body.wide { max-width: 40rem }
.brand { font-weight: 600; margin: 0 0 1.5rem } h1 { font-size: 1.5rem; margin: 0 0 1rem; line-height: 1.25 }
h2 { margin: 2.5rem 0 0.75rem; padding-top: 1.25rem; border-top: 1px solid #8883 }
a { color: var(--accent) } p, dl, ul { margin: 0 0 1rem; overflow-wrap: anywhere }
label, dt { display: block; font-weight: 600; margin-bottom: 0.25rem }
.field { margin-bottom: 1rem } .hint, .soft { color: var(--soft); font-size: 0.9rem }
.hint, .wrong { margin: 0.25rem 0 0 } .wrong { color: var(--wrong); font-size: 0.9rem }
input { font: inherit; width: 100%; box-sizing: border-box; padding: 0.55rem 0.65rem; border: 1px solid var(--line);
  border-radius: 6px; background: light-dark(#fff, #1f2229); color: inherit }
input[aria-invalid=true] { border-color: var(--wrong) } input[readonly] { background: none; border-style: dashed }
button, .button { font: inherit; font-weight: 600; padding: 0.55rem 1rem; border-radius: 6px; cursor: pointer;
  border: 1px solid var(--accent); background: var(--accent); color: var(--on-accent); text-decoration: none;
  display: inline-block; box-sizing: border-box; text-align: center; max-width: 100% }
button.second, .button.second { background: none; color: var(--accent) }
.full, body:not(.wide) form button { width: 100% } [aria-busy=true] button { opacity: 0.6 }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px } h1:focus, .told:focus, section div:focus { outline: none }
.told { border-left: 4px solid var(--accent); padding: 0.5rem 0.75rem; background: #8881; margin: 0 0 1rem }
.told.bad { border-color: var(--wrong) } .told:empty, [hidden] { display: none !important }
ul.rows { list-style: none; padding: 0 } ul.rows li { display: flex; flex-wrap: wrap; gap: 0.5rem 1rem;
  align-items: center; justify-content: space-between; padding: 0.6rem 0; border-top: 1px solid #8883 }
ul.rows li:first-child { border-top: none } ul.rows span { flex: 1 1 12rem; min-width: 0 }
ul.codes { list-style: none; padding: 0.75rem 1rem; background: #8881; border-radius: 6px; font-family: ui-monospace, monospace;
  display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 0.25rem 1rem }
code { overflow-wrap: anywhere }
`

/** A page for people, with the script that its forms need. `name` tells the script which page it is on. */
export function peoplePage(about: {
  name: string
  title: string
  body: string
  wide?: boolean
  /** What `?error=` of the address means, where something sends people back with one. */
  errors?: Readonly<Record<string, string>>
}): string {
  const { name, title, body, wide = false, errors } = about
  const known = errors === undefined ? '' : ` data-errors="${escapeHtml(JSON.stringify(errors))}"`
  return page(
    `${title} · NanoScale`,
    `<p class="brand"><a href="/">NanoScale</a></p>
<main><h1 tabindex="-1">${escapeHtml(title)}</h1>
<noscript><p class="told bad">This page needs JavaScript. At the machine of NanoScale the command line does the same.</p></noscript>
<div class="told" id="told" role="alert" tabindex="-1"${known}></div>
${body}
</main>`,
    {
      style: STYLE,
      script: `/scripts/${name === 'account' ? 'account' : 'sign-in'}.js`,
      body: `${wide ? ' class="wide"' : ''} data-page="${name}"`,
    },
  )
}
