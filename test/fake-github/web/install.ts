import { administers, repositoriesOf } from '../access.ts'
import { ApiError, notFound, redirect } from '../answer.ts'
import type { Answer } from '../answer.ts'
import { entry, findAccount } from '../github.ts'
import type { Github } from '../github.ts'
import {
  acceptInstallationPermissions,
  changeInstallationSelection,
  createInstallation,
  findInstallationOn,
  hasPendingPermissions,
  removeInstallation,
  suspendInstallation,
} from '../installations.ts'
import type { Selection } from '../installations.ts'
import { readId, readText, readTexts } from '../router.ts'
import type { Call } from '../router.ts'
import type { Account, App, Installation, Repository } from '../state.ts'
import { grant } from './oauth.ts'
import { escape, toForm, toPage, toPeopleChoice, withQuery } from './pages.ts'

/** `GET /apps/{slug}/installations/new`: the page that asks where, or what the automatic person chooses. */
export function showInstall(github: Github, call: Call): Answer {
  const app = findApp(github, call)
  const state = call.query.get('state')
  const choice = github.automatic?.install
  if (github.automatic !== null && choice !== undefined) {
    return install(github, app, { ...choice, login: github.automatic.login, state })
  }
  const accounts = [...github.state.accounts.values()].filter((account) => {
    return app.public || account.id === app.ownerId
  })
  const options = accounts.map(({ login }) => `<option>${escape(login)}</option>`)
  const content = `${toPeopleChoice(github)}
<label>Install on <select name="account">${options.join('')}</select></label>
${toSelectionChoice(github, [...github.state.repositories.values()], null)}
<p><button>Install</button></p>`
  const hidden: Record<string, string> = state === null ? {} : { state }
  return toPage(`Install ${app.name}`, toForm(call.path, hidden, content))
}

export function answerInstall(github: Github, call: Call): Answer {
  return install(github, findApp(github, call), {
    login: readText(call.body, 'login') ?? '',
    account: readText(call.body, 'account') ?? '',
    selection: readText(call.body, 'selection') === 'all' ? 'all' : 'selected',
    repositories: readNames(call),
    state: readText(call.body, 'state'),
  })
}

function findApp(github: Github, call: Call): App {
  const app = [...github.state.apps.values()].find(({ slug }) => slug === call.params['slug'])
  if (app === undefined) throw notFound()
  return app
}

/** One checked box is a text, more are a list. */
function readNames({ body }: Call): string[] {
  const value = body['repositories'] ?? []
  return readTexts(typeof value === 'string' ? [value] : value) ?? []
}

interface Choice {
  login: string
  account: string
  selection: 'all' | 'selected'
  repositories?: readonly string[]
  state: string | null
}

/** Installs, changes what is installed, or asks the owners when the person is none of them. */
function install(github: Github, app: App, choice: Choice): Answer {
  const user = findAccount(github, choice.login)
  const account = findAccount(github, choice.account)
  if (user === null || account === null) throw notFound()
  if (!app.public && account.id !== app.ownerId) throw notFound()
  if (!administers(user, account)) {
    if (!account.members.has(user.id)) throw notFound()
    return leave(github, app, user, { setup_action: 'request', state: choice.state })
  }
  const selection = toSelection(github, account, choice.selection, choice.repositories ?? [])
  const present = findInstallationOn(github, app, account)
  if (present !== null) {
    changeInstallationSelection(github, present, user, selection)
    return leaveUpdated(github, app, present, user, choice.state)
  }
  const installation = createInstallation(github, app, account, user, selection)
  return leave(github, app, user, {
    installation_id: String(installation.id),
    setup_action: 'install',
    state: choice.state,
  })
}

export function toSelection(
  github: Github,
  account: Account,
  selection: 'all' | 'selected',
  names: readonly string[],
): Selection {
  if (selection === 'all') return { selection, repositoryIds: [] }
  const wanted = names.map((name) => (name.split('/').at(-1) ?? '').toLowerCase())
  const own = [...github.state.repositories.values()].filter(({ ownerId, name }) => {
    return ownerId === account.id && wanted.includes(name.toLowerCase())
  })
  if (own.length !== wanted.length || own.length === 0) {
    throw new ApiError(422, `Cannot select "${names.join(', ')}": not all are of ${account.login}`)
  }
  return { selection, repositoryIds: own.map(({ id }) => id) }
}

function leaveUpdated(
  github: Github,
  app: App,
  { id }: Installation,
  user: Account,
  state: string | null,
): Answer {
  const parameters = { installation_id: String(id), setup_action: 'update', state }
  if (app.setupOnUpdate) return leave(github, app, user, parameters)
  return toPage('Installation changed', `<p>${escape(app.name)} keeps running.</p>`)
}

/** To the callback with a code when the App wants to know the person, else to its setup page. */
function leave(
  github: Github,
  app: App,
  user: Account,
  parameters: Record<string, string | null>,
): Answer {
  const callback = app.callbackUrls[0]
  const isRequest = parameters['setup_action'] === 'request'
  if (app.requestOauthOnInstall && callback !== undefined && !isRequest) {
    const code = grant(github, { app, redirectUri: callback, challenge: null }, user)
    return redirect(withQuery(callback, { code, ...parameters }))
  }
  if (app.setupUrl !== null) return redirect(withQuery(app.setupUrl, parameters))
  return toPage(isRequest ? 'Requested' : 'Installed', `<p>${escape(app.name)}</p>`)
}

function toSelectionChoice(
  github: Github,
  repositories: readonly Repository[],
  installation: Installation | null,
): string {
  const chosen = installation === null ? [] : repositoriesOf(github, installation)
  const isAll = installation?.selection === 'all'
  const boxes = repositories.map((repository) => {
    const owner = entry(github.state.accounts, repository.ownerId).login
    const name = escape(`${owner}/${repository.name}`)
    const checked = chosen.includes(repository) && !isAll ? ' checked' : ''
    return `<label><input type="checkbox" name="repositories" value="${name}"${checked}> ${name}</label>`
  })
  const radio = (value: string, label: string, checked: boolean) =>
    `<label><input type="radio" name="selection" value="${value}"${checked ? ' checked' : ''}> ${label}</label>`
  return `<fieldset>${radio('all', 'All repositories', isAll)}
${radio('selected', 'Only these', !isAll)}${boxes.join('')}</fieldset>`
}

/** The settings of an installation: where every link that fixes something leads. */
export function showInstallation(github: Github, call: Call): Answer {
  const installation = findInstallation(github, call)
  const app = entry(github.state.apps, installation.appId)
  const account = entry(github.state.accounts, installation.accountId)
  const own = [...github.state.repositories.values()].filter(({ ownerId }) => {
    return ownerId === account.id
  })
  const isSuspended = installation.suspended !== null
  const button = (action: string, label: string) =>
    `<button name="action" value="${action}">${label}</button>`
  const review = hasPendingPermissions(github, installation)
    ? `<p>${escape(app.name)} asks for other permissions. ${button('accept', 'Accept new permissions')}</p>`
    : ''
  const content = `${toPeopleChoice(github)}${review}
${toSelectionChoice(github, own, installation)}
<p>${button('save', 'Save')}
${isSuspended ? button('unsuspend', 'Unsuspend') : button('suspend', 'Suspend')}
${button('uninstall', 'Uninstall')}</p>`
  return toPage(`${app.name} on ${account.login}`, toForm(call.path, {}, content))
}

export function changeInstallation(github: Github, call: Call): Answer {
  const installation = findInstallation(github, call)
  const account = entry(github.state.accounts, installation.accountId)
  const user = findAccount(github, readText(call.body, 'login') ?? '')
  if (user === null || !administers(user, account)) throw notFound()
  const app = entry(github.state.apps, installation.appId)
  switch (readText(call.body, 'action')) {
    case 'accept':
      acceptInstallationPermissions(github, installation, user)
      break
    case 'suspend':
      suspendInstallation(github, installation, user, true)
      break
    case 'unsuspend':
      suspendInstallation(github, installation, user, false)
      break
    case 'uninstall':
      removeInstallation(github, installation, user)
      return toPage('Uninstalled', `<p>${escape(app.name)}</p>`)
    case null:
    default: {
      const mode = readText(call.body, 'selection') === 'all' ? 'all' : 'selected'
      const selection = toSelection(github, account, mode, readNames(call))
      changeInstallationSelection(github, installation, user, selection)
    }
  }
  return leaveUpdated(github, app, installation, user, null)
}

function findInstallation(github: Github, call: Call): Installation {
  const installation = github.state.installations.get(readId(call, 'installation_id'))
  if (installation === undefined) throw notFound()
  return installation
}
