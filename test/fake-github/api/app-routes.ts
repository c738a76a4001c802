import { findInstallation } from '../access.ts'
import { noContent, json, notFound, ApiError } from '../answer.ts'
import { listDeliveries, redeliver } from '../deliveries.ts'
import { entry, findAccount, findRepository, now } from '../github.ts'
import type { Github } from '../github.ts'
import { removeInstallation, suspendInstallation } from '../installations.ts'
import {
  toAppJson,
  toDeliveryItemJson,
  toDeliveryJson,
  toHookConfigJson,
  toInstallationJson,
} from '../json/app-json.ts'
import { cursorPage, page } from '../pagination.ts'
import { readId, toRoutes } from '../router.ts'
import type { Call } from '../router.ts'
import type { Delivery, HookTarget, Installation } from '../state.ts'
import { mergeHookConfig } from './hook-config.ts'
import { mintToken } from './mint-token.ts'
import { requireApp } from './require.ts'

const CONVERSION_MS = 3_600_000

export const appRoutes = toRoutes({
  'GET /app': (github, call) => json(toAppJson(github, requireApp(call))),
  'GET /app/hook/config': (_github, call) => json(toHookConfigJson(requireApp(call).hook)),
  'PATCH /app/hook/config': (_github, call) => {
    const { hook } = requireApp(call)
    Object.assign(hook, mergeHookConfig(hook, call.body))
    return json(toHookConfigJson(hook))
  },
  'GET /app/hook/deliveries': (github, call) => {
    return pageDeliveries(github, call, { kind: 'app', appId: requireApp(call).id })
  },
  'GET /app/hook/deliveries/:delivery_id': (github, call) => {
    const target = { kind: 'app', appId: requireApp(call).id } as const
    return json(toDeliveryJson(findDelivery(github, call, target)))
  },
  'POST /app/hook/deliveries/:delivery_id/attempts': (github, call) => {
    const target = { kind: 'app', appId: requireApp(call).id } as const
    redeliver(github, findDelivery(github, call, target))
    return noContent(202)
  },
  'GET /app/installations': (github, call) => {
    const app = requireApp(call)
    const all = [...github.state.installations.values()].filter(({ appId }) => appId === app.id)
    return page(github, call, all, (items) => items.map((item) => toInstallationJson(github, item)))
  },
  'GET /app/installations/:installation_id': (github, call) => {
    return json(toInstallationJson(github, findOwnInstallation(github, call)))
  },
  'DELETE /app/installations/:installation_id': (github, call) => {
    const installation = findOwnInstallation(github, call)
    removeInstallation(github, installation, entry(github.state.accounts, installation.accountId))
    return noContent()
  },
  'PUT /app/installations/:installation_id/suspended': (github, call) => {
    const installation = findOwnInstallation(github, call)
    const account = entry(github.state.accounts, installation.accountId)
    suspendInstallation(github, installation, account, true)
    return noContent()
  },
  'DELETE /app/installations/:installation_id/suspended': (github, call) => {
    const installation = findOwnInstallation(github, call)
    const account = entry(github.state.accounts, installation.accountId)
    suspendInstallation(github, installation, account, false)
    return noContent()
  },
  'POST /app/installations/:installation_id/access_tokens': (github, call) => {
    return mintToken(github, findOwnInstallation(github, call), call)
  },
  'GET /repos/:owner/:repo/installation': (github, call) => {
    const app = requireApp(call)
    const { owner, repo } = call.params
    const repository = findRepository(github, `${owner}/${repo}`)
    const installation = repository === null ? null : findInstallation(github, app, repository)
    if (installation === null) throw notFound()
    return json(toInstallationJson(github, installation))
  },
  'GET /users/:account/installation': findByAccount,
  'GET /orgs/:account/installation': findByAccount,
  'POST /app-manifests/:code/conversions': (github, call) => {
    const code = call.params['code'] ?? ''
    const conversion = github.state.conversions.get(code)
    github.state.conversions.delete(code)
    if (conversion === undefined || conversion.createdAt + CONVERSION_MS <= now(github)) {
      throw notFound()
    }
    const app = entry(github.state.apps, conversion.appId)
    const secrets = {
      client_id: app.clientId,
      client_secret: app.clientSecrets[0] ?? '',
      webhook_secret: app.hook.secret,
      pem: conversion.pem,
    }
    return json({ ...toAppJson(github, app), ...secrets }, 201)
  },
  'GET /apps/:app_slug': (github, call) => {
    const app = [...github.state.apps.values()].find(({ slug }) => slug === call.params['app_slug'])
    if (app === undefined) throw notFound()
    return json(toAppJson(github, app))
  },
})

function findByAccount(github: Github, call: Call) {
  const app = requireApp(call)
  const account = findAccount(github, call.params['account'] ?? '')
  for (const installation of github.state.installations.values()) {
    if (installation.appId === app.id && installation.accountId === account?.id) {
      return json(toInstallationJson(github, installation))
    }
  }
  throw notFound()
}

function findOwnInstallation(github: Github, call: Call): Installation {
  const app = requireApp(call)
  const installation = github.state.installations.get(readId(call, 'installation_id'))
  if (installation?.appId !== app.id) throw notFound()
  return installation
}

export function findDelivery(github: Github, call: Call, target: HookTarget): Delivery {
  const id = readId(call, 'delivery_id')
  const delivery = listDeliveries(github, target).find((delivery) => delivery.id === id)
  if (delivery === undefined) throw notFound()
  return delivery
}

/** `status=failure` is status codes 400 to 599 and nothing else: no timeout, no refused connection. */
export function pageDeliveries(github: Github, call: Call, target: HookTarget) {
  const status = call.query.get('status')
  if (status !== null && status !== 'success' && status !== 'failure') {
    throw new ApiError(422, 'Invalid status')
  }
  const shown = listDeliveries(github, target).filter(({ statusCode }) => {
    if (status === 'failure') return statusCode >= 400 && statusCode <= 599
    return status === null || (statusCode >= 200 && statusCode <= 399)
  })
  return cursorPage(github, call, shown, toDeliveryItemJson)
}
