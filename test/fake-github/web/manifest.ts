import { administers } from '../access.ts'
import { ApiError, redirect } from '../answer.ts'
import type { Answer } from '../answer.ts'
import { isNameTaken, registerApp } from '../create-app.ts'
import type { AppDraft } from '../create-app.ts'
import { emitAppEvent, findRefusedEvent } from '../events.ts'
import { findAccount, now } from '../github.ts'
import type { Github } from '../github.ts'
import { toHookConfigJson } from '../json/app-json.ts'
import { readObject, readText, readTexts } from '../router.ts'
import type { Call } from '../router.ts'
import type { Account, App, Level } from '../state.ts'
import { randomHex } from '../tokens.ts'
import { escape, toForm, toPage, toPeopleChoice, withQuery } from './pages.ts'

const MAX_CALLBACKS = 10

interface Manifest {
  draft: AppDraft
  redirectUrl: string
}

/** `POST …/settings/apps/new` with a manifest: the page that asks, and then what was confirmed. */
export async function registerByManifest(github: Github, call: Call): Promise<Answer> {
  const text = readText(call.body, 'manifest') ?? ''
  const state = call.query.get('state') ?? readText(call.body, 'state')
  const manifest = readManifest(text)
  if (typeof manifest === 'string') return refuse(manifest)
  const { automatic } = github
  const login = automatic?.login ?? readText(call.body, 'login')
  if (login === null) {
    const { name, permissions = {} } = manifest.draft
    const wanted = Object.entries(permissions).map(([key, level]) => `<li>${escape(key)}: ${level}`)
    const content = `<label>Name <input name="name" value="${escape(name)}"></label>
<ul>${wanted.join('')}</ul>${toPeopleChoice(github)}<p><button>Create GitHub App</button></p>`
    const hidden = { manifest: text, ...(state === null ? {} : { state }) }
    return toPage(`Create ${name}`, toForm(call.path, hidden, content))
  }
  const name = readText(call.body, 'name') ?? manifest.draft.name
  if (isNameTaken(github, name)) return refuse(`Name ${name} is already taken`)
  const owner = findOwner(github, call, login)
  const { app, pem } = await registerApp(github, owner, {
    ...manifest.draft,
    name,
    // One that is not asked for is made up when there is a URL, and only then.
    hook: { ...manifest.draft.hook, secret: manifest.draft.hook?.url ? randomHex(40) : null },
  })
  const code = randomHex(40)
  github.state.conversions.set(code, { appId: app.id, pem, createdAt: now(github) })
  pingApp(github, app)
  return redirect(withQuery(manifest.redirectUrl, { code, state }))
}

/** `GET …/settings/apps/new`: for whoever comes without a manifest. */
export function showManifestForm(_github: Github, call: Call): Answer {
  const content = `<label>Manifest<br><textarea name="manifest" rows="12" cols="60"></textarea></label>
<p><button>Continue</button></p>`
  return toPage('Register a GitHub App', toForm(call.path, {}, content))
}

function refuse(reason: string): Answer {
  return toPage('Invalid GitHub App configuration', `<p>${escape(reason)}</p>`, 422)
}

function findOwner(github: Github, call: Call, login: string): Account {
  const user = findAccount(github, login)
  const owner = findAccount(github, call.params['org'] ?? login)
  if (user === null || owner === null || !administers(user, owner)) {
    throw new ApiError(404, 'Not Found')
  }
  return owner
}

/** The manifest, or what is wrong with it. */
function readManifest(text: string): Manifest | string {
  const manifest = parse(text)
  if (manifest === null) return 'The manifest is not a JSON object'
  const name = readText(manifest, 'name')
  const url = readText(manifest, 'url')
  const redirectUrl = readText(manifest, 'redirect_url')
  if (name === null) return 'Name is missing'
  if (url === null || !URL.canParse(url)) return 'Homepage URL is missing'
  if (redirectUrl === null || !URL.canParse(redirectUrl)) return 'Redirect URL is missing'
  const callbackUrls = readTexts(manifest['callback_urls'] ?? []) ?? []
  if (callbackUrls.length > MAX_CALLBACKS) return `More than ${MAX_CALLBACKS} callback URLs`
  const hook = readObject(manifest['hook_attributes'])
  const hookUrl = hook === null ? null : readText(hook, 'url')
  if (hook !== null && (hookUrl === null || !URL.canParse(hookUrl))) return 'Hook url is missing'
  const wanted = (readObject(manifest['default_permissions']) ?? {}) as Record<string, Level>
  const permissions = { ...wanted, metadata: 'read' as const }
  const events = readTexts(manifest['default_events'] ?? []) ?? []
  const refused = findRefusedEvent(permissions, events)
  if (refused !== null) return `Default events unsupported: ${refused}`
  const draft: AppDraft = {
    name,
    url,
    description: readText(manifest, 'description'),
    permissions,
    events,
    callbackUrls,
    setupUrl: readText(manifest, 'setup_url'),
    setupOnUpdate: manifest['setup_on_update'] === true,
    requestOauthOnInstall: manifest['request_oauth_on_install'] === true,
    public: manifest['public'] !== false,
    ...(hookUrl === null ? {} : { hook: { url: hookUrl, active: hook?.['active'] !== false } }),
  }
  return { draft, redirectUrl }
}

function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return readObject(JSON.parse(text))
  } catch {
    return null
  }
}

/** A new App's webhook is tried at once: before its maker can know the secret that signs it. */
export function pingApp(github: Github, app: App): void {
  emitAppEvent(github, app, {
    event: 'ping',
    payload: {
      zen: 'Half measures are as bad as nothing at all.',
      hook_id: app.id,
      hook: {
        type: 'App',
        id: app.id,
        name: 'web',
        active: app.hook.active,
        events: app.events,
        config: toHookConfigJson(app.hook),
        app_id: app.id,
        deliveries_url: `${github.apiUrl}/app/hook/deliveries`,
      },
    },
  })
}
