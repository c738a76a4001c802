import { ApiError, invalid, json, noContent, notFound } from '../answer.ts'
import { deliver, newGuid, redeliver } from '../deliveries.ts'
import { now } from '../github.ts'
import type { Github } from '../github.ts'
import { entry } from '../github.ts'
import { toAccountJson } from '../json/account-json.ts'
import { toDeliveryJson, toHookConfigJson, toHookJson } from '../json/app-json.ts'
import { toWebhookRepositoryJson } from '../json/repository-json.ts'
import { page } from '../pagination.ts'
import { readId, readObject, readTexts, toRoutes } from '../router.ts'
import type { Call } from '../router.ts'
import type { Hook, HookConfig, Repository } from '../state.ts'
import { findDelivery, pageDeliveries } from './app-routes.ts'
import { mergeHookConfig } from './hook-config.ts'
import { requireRepository } from './require.ts'

/** Of one event on one repository. */
const MAX_HOOKS = 20
const READ = { permission: 'repository_hooks', level: 'read', role: 'admin' } as const
const WRITE = { permission: 'repository_hooks', level: 'write', role: 'admin' } as const
const EMPTY: HookConfig = { url: '', contentType: 'form', secret: null, insecureSsl: '0' }

export const hookRoutes = toRoutes({
  'GET /repos/:owner/:repo/hooks': async (github, call) => {
    const repository = await requireRepository(github, call, READ)
    return page(github, call, hooksOf(github, repository), (items) => {
      return items.map((hook) => toHookJson(github, hook))
    })
  },
  'POST /repos/:owner/:repo/hooks': createHook,
  'GET /repos/:owner/:repo/hooks/:hook_id': async (github, call) => {
    return json(toHookJson(github, await findHook(github, call, READ)))
  },
  'PATCH /repos/:owner/:repo/hooks/:hook_id': changeHook,
  'DELETE /repos/:owner/:repo/hooks/:hook_id': async (github, call) => {
    const hook = await findHook(github, call, WRITE)
    github.state.hooks.delete(hook.id)
    return noContent()
  },
  'GET /repos/:owner/:repo/hooks/:hook_id/config': async (github, call) => {
    return json(toHookConfigJson((await findHook(github, call, READ)).config))
  },
  'PATCH /repos/:owner/:repo/hooks/:hook_id/config': async (github, call) => {
    const hook = await findHook(github, call, WRITE)
    hook.config = mergeHookConfig(hook.config, call.body)
    hook.updatedAt = now(github)
    return json(toHookConfigJson(hook.config))
  },
  'POST /repos/:owner/:repo/hooks/:hook_id/pings': async (github, call) => {
    ping(github, await findHook(github, call, READ))
    return noContent()
  },
  'GET /repos/:owner/:repo/hooks/:hook_id/deliveries': async (github, call) => {
    const { id } = await findHook(github, call, READ)
    return pageDeliveries(github, call, { kind: 'repository', hookId: id })
  },
  'GET /repos/:owner/:repo/hooks/:hook_id/deliveries/:delivery_id': async (github, call) => {
    const { id } = await findHook(github, call, READ)
    return json(toDeliveryJson(findDelivery(github, call, { kind: 'repository', hookId: id })))
  },
  'POST /repos/:owner/:repo/hooks/:hook_id/deliveries/:delivery_id/attempts': async (
    github,
    call,
  ) => {
    const { id } = await findHook(github, call, WRITE)
    redeliver(github, findDelivery(github, call, { kind: 'repository', hookId: id }))
    return noContent(202)
  },
})

function hooksOf(github: Github, { id }: Repository): Hook[] {
  return [...github.state.hooks.values()].filter(({ repositoryId }) => repositoryId === id)
}

async function findHook(
  github: Github,
  call: Call,
  need: typeof READ | typeof WRITE,
): Promise<Hook> {
  const repository = await requireRepository(github, call, need)
  const hook = github.state.hooks.get(readId(call, 'hook_id'))
  if (hook?.repositoryId !== repository.id) throw notFound()
  return hook
}

async function createHook(github: Github, call: Call) {
  const repository = await requireRepository(github, call, WRITE)
  const { body } = call
  const events = readTexts(body['events'] ?? ['push'])
  const given = readObject(body['config'])
  if (events === null || given === null) throw new ApiError(422, 'Validation Failed')
  const config = mergeHookConfig(EMPTY, given)
  checkHook(github, repository, config, events, null)
  const at = now(github)
  const hook: Hook = {
    id: github.nextId(),
    repositoryId: repository.id,
    config,
    events,
    active: body['active'] !== false,
    createdAt: at,
    updatedAt: at,
    lastResponse: { code: null, status: 'unused', message: null },
  }
  github.state.hooks.set(hook.id, hook)
  if (hook.active) ping(github, hook)
  return {
    ...json(toHookJson(github, hook), 201),
    headers: { location: toHookJson(github, hook).url },
  }
}

async function changeHook(github: Github, call: Call) {
  const hook = await findHook(github, call, WRITE)
  const { body } = call
  const add = readTexts(body['add_events'] ?? []) ?? []
  const remove = readTexts(body['remove_events'] ?? []) ?? []
  const events = (readTexts(body['events']) ?? hook.events).concat(add)
  const kept = [...new Set(events)].filter((event) => !remove.includes(event))
  const given = readObject(body['config'])
  // A configuration is replaced whole: one without a secret takes the secret away.
  const start = { ...hook.config, secret: null }
  const config = given === null ? hook.config : mergeHookConfig(start, given)
  checkHook(github, entry(github.state.repositories, hook.repositoryId), config, kept, hook)
  hook.config = config
  hook.events = kept
  if (typeof body['active'] === 'boolean') hook.active = body['active']
  hook.updatedAt = now(github)
  return json(toHookJson(github, hook))
}

/** Hooks may share a configuration as long as they share no event. */
function checkHook(
  github: Github,
  repository: Repository,
  config: HookConfig,
  events: readonly string[],
  self: Hook | null,
): void {
  const others = hooksOf(github, repository).filter((hook) => hook !== self)
  const shares = (hook: Hook, event: string) => {
    return event === '*' || hook.events.includes(event) || hook.events.includes('*')
  }
  const isTwin = (hook: Hook) => {
    return hook.config.url === config.url && events.some((event) => shares(hook, event))
  }
  if (others.some(isTwin)) {
    throw invalid('Hook', { code: 'custom', message: 'Hook already exists on this repository' })
  }
  const full = events.find((event) => {
    return others.filter((hook) => shares(hook, event)).length >= MAX_HOOKS
  })
  if (full !== undefined) {
    const message = `The "${full}" event cannot have more than ${MAX_HOOKS} hooks`
    throw invalid('Hook', { code: 'custom', message })
  }
}

function ping(github: Github, hook: Hook): void {
  const repository = entry(github.state.repositories, hook.repositoryId)
  const owner = entry(github.state.accounts, repository.ownerId)
  deliver(github, {
    guid: newGuid(),
    target: { kind: 'repository', hookId: hook.id },
    event: 'ping',
    action: null,
    installationId: null,
    repositoryId: repository.id,
    body: JSON.stringify({
      zen: 'Anything added dilutes everything else.',
      hook_id: hook.id,
      hook: toHookJson(github, hook),
      repository: toWebhookRepositoryJson(github, repository),
      sender: toAccountJson(github, owner),
    }),
  })
}
