import { requestConfigurationRestart } from '../deployments/project-requests.ts'
import { addDomain, listDomains, removeDomain } from '../projects/domains.ts'
import { readProject } from '../projects/project-records.ts'
import { listVariables, type Variable } from '../projects/variable-records.ts'
import { setVariables, unsetVariable, type EnvironmentChange } from '../projects/variables.ts'
import { organizationOf, type Handlers } from './handler.ts'
import type { HttpApp } from './http-app.ts'
import { unmasked } from './masked-values.ts'
import { publish } from './publish.ts'

type SettingsHandlers = Pick<
  Handlers,
  | 'environment.list'
  | 'environment.set'
  | 'environment.unset'
  | 'domains.list'
  | 'domains.add'
  | 'domains.remove'
>

export function projectSettingsHandlers(app: HttpApp): SettingsHandlers {
  return { ...environmentHandlers(app), ...domainHandlers(app) }
}

function environmentHandlers(app: HttpApp) {
  const deps = {
    db: app.db,
    clock: app.clock,
    newId: app.newId,
    keyring: app.keyring,
    requestConfigurationRestart: requestConfigurationRestart.bind(null, app),
  }
  const changed = (change: EnvironmentChange) => {
    if (change.deploymentId !== null) app.deployments.wake()
    return { variables: change.variables.map(viewVariable), deployment_id: change.deploymentId }
  }
  return {
    'environment.list': async ({ params }, request) => {
      const project = await readProject(app.db, organizationOf(request), params.id)
      return { variables: (await listVariables(app.db, project.id)).map(viewVariable) }
    },
    'environment.set': async ({ params, body }, request) => {
      const changes = unmasked(body.variables)
      const organizationId = organizationOf(request)
      return changed(await setVariables(deps, organizationId, params.id, changes, request.actor))
    },
    'environment.unset': async ({ params }, request) => {
      const organizationId = organizationOf(request)
      return changed(
        await unsetVariable(deps, organizationId, params.id, params.name, request.actor),
      )
    },
  } satisfies Partial<SettingsHandlers>
}

function domainHandlers(app: HttpApp) {
  const view = (domain: { hostname: string; created_at: string }) => ({
    ...domain,
    url: urlOfDomain(app.config.trafficUrl, domain.hostname),
  })
  return {
    'domains.list': async ({ params }, request) => {
      const project = await readProject(app.db, organizationOf(request), params.id)
      return { items: (await listDomains(app.db, project.id)).map(view) }
    },
    'domains.add': async ({ params, body }, request) => {
      const organizationId = organizationOf(request)
      const { hostname } = body
      const domain = await addDomain(app, organizationId, params.id, hostname, request.actor)
      await publish(app)
      return view(domain)
    },
    'domains.remove': async ({ params }, request) => {
      const organizationId = organizationOf(request)
      await removeDomain(app, organizationId, params.id, params.hostname, request.actor)
      await publish(app)
    },
  } satisfies Partial<SettingsHandlers>
}

function viewVariable(variable: Variable) {
  return { ...variable, set: true as const }
}

/** A domain is reached by the scheme and port by which apps are. */
function urlOfDomain(trafficUrl: string, hostname: string): string {
  const url = new URL(trafficUrl.replace('*', 'any'))
  return `${url.protocol}//${hostname}${url.port === '' ? '' : `:${url.port}`}`
}
