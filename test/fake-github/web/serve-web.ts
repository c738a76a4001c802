import type { IncomingMessage } from 'node:http'

import { ApiError, notFound } from '../answer.ts'
import type { Answer } from '../answer.ts'
import type { Github } from '../github.ts'
import { fullName } from '../github.ts'
import { createRouter, toRoutes } from '../router.ts'
import { answerInstall, changeInstallation, showInstall, showInstallation } from './install.ts'
import { registerByManifest, showManifestForm } from './manifest.ts'
import { answerAuthorization, exchange, showAuthorization } from './oauth.ts'
import { escape, toPage } from './pages.ts'

const find = createRouter(
  toRoutes({
    'GET /': showWorld,
    'GET /login/oauth/authorize': showAuthorization,
    'POST /login/oauth/authorize': answerAuthorization,
    'POST /login/oauth/access_token': exchange,
    'GET /settings/apps/new': showManifestForm,
    'POST /settings/apps/new': registerByManifest,
    'GET /organizations/:org/settings/apps/new': showManifestForm,
    'POST /organizations/:org/settings/apps/new': registerByManifest,
    'GET /apps/:slug': showInstall,
    'GET /apps/:slug/installations/new': showInstall,
    'POST /apps/:slug': answerInstall,
    'POST /apps/:slug/installations/new': answerInstall,
    'GET /settings/installations/:installation_id': showInstallation,
    'POST /settings/installations/:installation_id': changeInstallation,
    'GET /settings/installations/:installation_id/permissions/update': showInstallation,
    'POST /settings/installations/:installation_id/permissions/update': changeInstallation,
    'GET /organizations/:org/settings/installations/:installation_id': showInstallation,
    'POST /organizations/:org/settings/installations/:installation_id': changeInstallation,
    'GET /organizations/:org/settings/installations/:installation_id/permissions/update':
      showInstallation,
    'POST /organizations/:org/settings/installations/:installation_id/permissions/update':
      changeInstallation,
  }),
)

interface WebRequest {
  request: IncomingMessage
  path: string
  query: URLSearchParams
  body: Readonly<Record<string, unknown>>
}

/** The pages of the website that an App sends people to. */
export async function serveWeb(github: Github, asked: WebRequest): Promise<Answer> {
  const { request, path, query, body } = asked
  const { method = 'GET', url = '/' } = request
  const line = `${method} ${url}`
  try {
    const match = find(method, path)
    if (match === null) throw notFound()
    const { handler, params } = match
    const actor = { kind: 'anonymous' } as const
    const { headers } = request
    return await handler(github, { line, method, path, params, query, headers, body, actor })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return toPage(error.message, `<p>${error.status}</p>`, error.status)
  }
}

/** What there is, for whoever looks around by hand. */
function showWorld(github: Github): Answer {
  const list = (items: readonly string[]) =>
    `<ul>${items.map((item) => `<li>${item}`).join('')}</ul>`
  const { accounts, repositories, apps, installations } = github.state
  const link = (path: string, text: string) => `<a href="${escape(path)}">${escape(text)}</a>`
  return toPage(
    'A stand-in of GitHub',
    `<h2>Accounts</h2>${list([...accounts.values()].map(({ login, type }) => `${escape(login)} (${type})`))}
<h2>Repositories</h2>${list(
      [...repositories.values()].map((repository) => {
        const notes = [
          repository.private ? 'private' : 'public',
          ...(repository.archived ? ['archived'] : []),
        ]
        return `<code>${escape(`${github.webUrl}/${fullName(github, repository)}.git`)}</code> ${notes.join(', ')}`
      }),
    )}
<h2>Apps</h2>${list([...apps.values()].map(({ slug, name }) => link(`/apps/${slug}`, name)))}
<p>${link('/settings/apps/new', 'Register one')}</p>
<h2>Installations</h2>${list(
      [...installations.keys()].map((id) => link(`/settings/installations/${id}`, String(id))),
    )}`,
  )
}
