import { type Permission, PERMISSIONS, ROLES, SCOPES } from '../src/contract/permissions.ts'
import { type RouteId, ROUTES } from '../src/contract/routes.ts'

const BEGIN = '<!-- made by tools/write-permissions.ts from src/contract/permissions.ts -->'
const END = '<!-- end -->'

/** `text` with all that stands between its two marks made again. Throws when a mark is missing. */
export function replacePermissions(text: string): string {
  const [before, rest] = splitOnce(text, BEGIN)
  const [, after] = splitOnce(rest, END)
  return `${before}${BEGIN}\n\n${describePermissions()}\n${END}${after}`
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  if (at < 0) throw new Error(`The page has no ${mark}`)
  return [text.slice(0, at), text.slice(at + mark.length)]
}

/** Who may do what, as Markdown for people who do not read code. */
function describePermissions(): string {
  const rows = Object.entries<Permission>(PERMISSIONS).filter(([id]) => !isPage(id as RouteId))
  const forRoles = rows.filter(([, { who }]) => ROLES.some((role) => role === who))
  const others = (who: Permission['who']) =>
    rows.filter(([, row]) => row.who === who).map(([id]) => `- ${summaryOf(id)}\n`)
  return [
    `| What | ${ROLES.join(' | ')} | Scope of a token |\n|---|${':-:|'.repeat(ROLES.length)}---|`,
    ...forRoles.map(([id, row]) => roleRow(summaryOf(id), row)),
    '',
    `Whoever is signed in, in whatever organization:\n\n${others('signedIn').join('')}`,
    `People in a browser, about themselves; no token may:\n\n${others('person').join('')}`,
    `Only the operator, on the machine itself:\n\n${others('operator').join('')}`,
    `Everybody, without signing in:\n\n${others('everyone').join('')}`,
    'Scopes of tokens:\n',
    '| Scope | What a token with it may, as far as its maker may |\n|---|---|',
    ...Object.entries(SCOPES).map(([scope, meaning]) => `| \`${scope}\` | ${meaning} |`),
    '',
  ].join('\n')
}

function roleRow(summary: string, { who, scope }: Permission): string {
  const least = ROLES.findIndex((role) => role === who)
  const marks = ROLES.map((_role, rank) => (rank >= least ? '✓' : ''))
  return `| ${summary} | ${marks.join(' | ')} | ${scope === null ? '' : `\`${scope}\``} |`
}

function isPage(id: RouteId): boolean {
  const { response } = ROUTES[id]
  return response === 'html' || id.startsWith('scripts.')
}

function summaryOf(id: string): string {
  return ROUTES[id as RouteId].summary.replaceAll('|', String.raw`\|`)
}
