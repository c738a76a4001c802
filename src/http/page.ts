const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.1rem; margin-top: 2.5rem }
code, pre { font: 0.9em ui-monospace, monospace; background: #8881; border-radius: 4px }
code { padding: 0.1em 0.3em } pre { padding: 0.8rem 1rem; overflow-x: auto }
pre code { background: none; padding: 0 }
table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: 0.3rem 0.6rem 0.3rem 0; vertical-align: top; border-top: 1px solid #8883 }
details { border-top: 1px solid #8883; padding: 0.4rem 0 } summary { cursor: pointer }
`

/**
 * A whole HTML page of ours, with nothing from elsewhere: it reads well offline too. `more` is for pages with forms: the
 * address of a script of ours, and further attributes of the body.
 */
export function page(
  title: string,
  body: string,
  more: { style?: string; script?: string; body?: string } = {},
): string {
  const script =
    more.script === undefined ? '' : `<script type="module" src="${more.script}"></script>\n`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}${more.style ?? ''}</style>
${script}</head>
<body${more.body ?? ''}>
${body}
</body>
</html>
`
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
