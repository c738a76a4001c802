import { escapeHtml, page } from '../page.ts'

/** What happened at GitHub, by the fixed codes of our redirections. */
const TOLD: Readonly<Record<string, string>> = {
  connected: 'Your account at GitHub is connected.',
  installed: 'The App is installed. Its repositories can be deployed now.',
  requested: 'The owner of the organization was asked to install the App.',
  app_created: 'The GitHub App was made and can be used.',
  app_pending:
    'The GitHub App was made, but something is missing. The list of Apps says what, and where to grant it.',
}

const FAILED: Readonly<Record<string, string>> = {
  state_invalid:
    'This was not begun here, was begun by somebody else, or took too long. Begin again.',
  denied: 'GitHub was told not to allow it. Nothing was connected.',
  refused: 'GitHub refused. Begin again.',
  unavailable: 'GitHub did not answer as it should. Try again in a minute.',
  app_unavailable: 'The GitHub App cannot be used at the moment. Its administrator can see why.',
  linked_to_other: 'This account at GitHub is connected to another person here.',
  begun_at_github:
    'This was begun at GitHub. Nothing was taken over here: connect your account to use what it reaches.',
  conversion_failed: 'GitHub does not know this new App any more. Begin again.',
}

/** Where trips to GitHub end. An unknown code says nothing. */
export function githubPage(codes: { told: string | null; error: string | null }): string {
  const lookUp = (table: Readonly<Record<string, string>>, code: string | null) =>
    code !== null && Object.hasOwn(table, code) ? table[code] : undefined
  const failure = lookUp(FAILED, codes.error)
  const sentence = failure ?? lookUp(TOLD, codes.told) ?? 'Nothing happened.'
  return page(
    'GitHub · NanoScale',
    `<h1>GitHub</h1>
<p${failure === undefined ? '' : ' role="alert"'}>${escapeHtml(sentence)}</p>
<p><a href="/">NanoScale</a></p>`,
  )
}
