import { z } from 'zod'

import { Secret } from '../../lib/secret.ts'
import type { GithubApp, GithubHost, InstallationFacts, NewApp } from '../github-host.ts'
import type { AppCaller } from './app-jwt.ts'
import { type Answer, type Asker, expectSuccess, paginate, read } from './ask.ts'
import {
  appShape,
  deliveryShape,
  installationShape,
  installationsShape,
  toAppFacts,
  toDeliveryFacts,
  toInstallationFacts,
} from './facts.ts'
import type { TokenRedactor } from './secret-memory.ts'

type AsApp = Pick<
  GithubHost,
  | 'readApp'
  | 'convertManifest'
  | 'listInstallations'
  | 'readInstallation'
  | 'readHookConfig'
  | 'changeHookConfig'
  | 'listDeliveries'
  | 'redeliver'
>

/** What an App asks about itself. */
export function createAsApp(deps: {
  apps: AppCaller
  asker: Asker
  redactor: TokenRedactor
}): AsApp {
  const get = async (app: GithubApp, path: string, signal: AbortSignal) =>
    await deps.apps.askAsApp(app, { method: 'GET', path }, signal)
  return {
    readApp: async (app, signal) => {
      const answer = await get(app, '/app', signal)
      return toAppFacts(read(`read the App "${app.slug}"`, answer, appShape), answer.skewMs)
    },
    convertManifest: async (site, code, signal) => {
      const path = `/app-manifests/${encodeURIComponent(code)}/conversions`
      const limitedBy = `${site.apiUrl} manifests`
      const answer = await deps.asker.ask({ site, method: 'POST', path, limitedBy }, signal)
      return toNewApp(deps.redactor, answer)
    },
    listInstallations: (app, signal) => listInstallations((path) => get(app, path, signal)),
    readInstallation: async (app, id, signal) => {
      const answer = await get(app, `/app/installations/${id}`, signal)
      return toInstallationFacts(read(`read the installation "${id}"`, answer, installationShape))
    },
    readHookConfig: async (app, signal) => {
      const answer = await get(app, '/app/hook/config', signal)
      const shape = z.object({ url: z.string().nullish() })
      const { url } = read('read the webhook of the App', answer, shape)
      return { url: url === undefined || url === '' ? null : url }
    },
    changeHookConfig: async (app, { url, secret }, signal) => {
      const body = {
        content_type: 'json',
        insecure_ssl: '0',
        ...(url === undefined ? {} : { url }),
        ...(secret === undefined ? {} : { secret: secret.reveal() }),
      }
      const question = { method: 'PATCH', path: '/app/hook/config', body } as const
      expectSuccess(
        'change the webhook of the App',
        await deps.apps.askAsApp(app, question, signal),
      )
    },
    listDeliveries: (app, since, signal) => listDeliveries((path) => get(app, path, signal), since),
    redeliver: async (app, deliveryId, signal) => {
      const path = `/app/hook/deliveries/${deliveryId}/attempts`
      const answer = await deps.apps.askAsApp(app, { method: 'POST', path }, signal)
      expectSuccess(`send the delivery "${deliveryId}" again`, answer)
    },
  }
}

async function* listInstallations(
  get: (path: string) => Promise<Answer>,
): AsyncGenerator<InstallationFacts, void, undefined> {
  for await (const answer of paginate('/app/installations?per_page=100', get)) {
    const found = read('list installations', answer, installationsShape)
    yield* found.map(toInstallationFacts)
  }
}

/** Not filtered by `status`: GitHub counts those that got no answer neither as failure nor as success. */
async function* listDeliveries(get: (path: string) => Promise<Answer>, since: string) {
  // GitHub tells no milliseconds.
  const sinceMs = Math.floor(Date.parse(since) / 1000) * 1000
  for await (const answer of paginate('/app/hook/deliveries?per_page=100', get)) {
    for (const delivery of read('list deliveries', answer, z.array(deliveryShape))) {
      const facts = toDeliveryFacts(delivery)
      if (Date.parse(facts.deliveredAt) < sinceMs) return
      yield facts
    }
  }
}

const newAppShape = appShape.extend({
  client_secret: z.string().min(1),
  webhook_secret: z.string().nullish(),
  pem: z.string().min(1),
})

function toNewApp(redactor: TokenRedactor, answer: Answer): NewApp {
  const app = read('trade the code of the manifest for an App', answer, newAppShape)
  const { webhook_secret: webhookSecret } = app
  const keep = (value: string) => {
    const secret = new Secret(value)
    redactor.add(secret)
    return secret
  }
  const hasSecret = webhookSecret !== undefined && webhookSecret !== null && webhookSecret !== ''
  return {
    id: app.id,
    slug: app.slug,
    name: app.name,
    ownerLogin: app.owner?.login ?? '',
    clientId: app.client_id,
    clientSecret: keep(app.client_secret),
    webhookSecret: hasSecret ? keep(webhookSecret) : null,
    privateKey: keep(app.pem),
    permissions: app.permissions,
    events: app.events,
    htmlUrl: app.html_url,
  }
}
