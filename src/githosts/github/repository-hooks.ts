import { z } from 'zod'

import { OperationError } from '../../lib/errors.ts'
import type { GithubApp, GithubHost, RepositoryPlace } from '../github-host.ts'
import { orderFor, type InstallationCaller } from './as-installation.ts'
import { type Answer, expectSuccess, messageIn, paginate, read } from './ask.ts'
import { positiveId } from './facts.ts'

type Hooks = Pick<GithubHost, 'ensureRepositoryHook' | 'removeRepositoryHook'>
type WantedHook = Parameters<Hooks['ensureRepositoryHook']>[2]
type Ask = (
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
) => Promise<Answer>

const hookShape = z.object({ id: positiveId })
const hooksShape = z.array(
  z.object({ id: positiveId, config: z.object({ url: z.string().optional() }) }),
)

/** The webhooks of repositories; each call may be repeated. */
export function createRepositoryHooks({ askAsInstallation }: InstallationCaller): Hooks {
  const asker = (app: GithubApp, place: RepositoryPlace, signal: AbortSignal): Ask => {
    const order = orderFor(place, { repository_hooks: 'write' })
    return async (method, path, body) => {
      const question = body === undefined ? { method, path } : { method, path, body }
      return await askAsInstallation(app, order, question, signal)
    }
  }
  return {
    ensureRepositoryHook: async (app, place, hook, signal) =>
      await ensureHook(asker(app, place, signal), place, hook),
    removeRepositoryHook: async (app, place, id, signal) => {
      const ask = asker(app, place, signal)
      const answer = await ask('DELETE', `/repositories/${place.repoId}/hooks/${id}`)
      if (answer.status !== 404) expectSuccess(`remove the webhook "${id}"`, answer)
    },
  }
}

async function ensureHook(
  ask: Ask,
  place: RepositoryPlace,
  hook: WantedHook,
): Promise<{ id: number }> {
  const { knownId } = hook
  if (knownId !== null && (await correct(ask, place, knownId, hook)) === 'corrected') {
    return { id: knownId }
  }
  // By its address first: GitHub lets a second one through when the first listens to other events.
  const present = await findByUrl(ask, place, hook.url)
  if (present !== null && (await correct(ask, place, present, hook)) === 'corrected') {
    return { id: present }
  }
  const answer = await ask('POST', hooksPath(place), { name: 'web', ...toBody(hook) })
  if (answer.status !== 422) return read('create a webhook', answer, hookShape)
  // Somebody else may have made it in this moment.
  const other = await findByUrl(ask, place, hook.url)
  if (other !== null && (await correct(ask, place, other, hook)) === 'corrected') {
    return { id: other }
  }
  throw refused(answer)
}

function hooksPath({ repoId }: RepositoryPlace): string {
  return `/repositories/${repoId}/hooks`
}

function toBody({ url, secret }: WantedHook) {
  const config = { url, content_type: 'json', secret: secret.reveal(), insecure_ssl: '0' }
  return { active: true, events: ['push'], config }
}

/** GitHub never shows a secret: address and secret are written anew each time. */
async function correct(
  ask: Ask,
  place: RepositoryPlace,
  id: number,
  hook: WantedHook,
): Promise<'corrected' | 'gone' | 'taken'> {
  const answer = await ask('PATCH', `${hooksPath(place)}/${id}`, toBody(hook))
  if (answer.status === 404) return 'gone'
  // Another one has this address already.
  if (answer.status === 422 && /already exists/i.test(messageIn(answer))) return 'taken'
  expectSuccess(`correct the webhook "${id}"`, answer)
  return 'corrected'
}

async function findByUrl(ask: Ask, place: RepositoryPlace, url: string): Promise<number | null> {
  const get = async (path: string) => await ask('GET', path)
  for await (const answer of paginate(`${hooksPath(place)}?per_page=100`, get)) {
    const hooks = read('list webhooks', answer, hooksShape)
    const found = hooks.find(({ config }) => config.url === url)
    if (found !== undefined) return found.id
  }
  return null
}

function refused(answer: Answer): OperationError {
  const message = messageIn(answer)
  if (/cannot have more than|20 hooks/i.test(message)) {
    return new OperationError(
      'github.too_many_hooks',
      'Cannot create a webhook: the repository has as many as GitHub allows (20 for an event); remove one that is not needed',
    )
  }
  return new OperationError('github.refused', `Cannot create a webhook: GitHub answered ${message}`)
}
