/** What the sweeps over all operations of the API need: the operations, and an organization with one of everything. */
import assert from 'node:assert/strict'

import { inTransaction } from '../database/in-transaction.ts'
import { requestDeployment } from '../deployments/request-deployment.ts'
import { toIsoTime } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { addDelivery } from '../webhooks/_test-hooks.ts'
import { REPO, type TestApp, type TestBrowser } from './_test-app.ts'
import { addGithubApp } from './_test-github.ts'
import { addToken } from './_test-people.ts'

/** One operation of the OpenAPI document. */
export interface Operation {
  id: string
  method: string
  path: string
  /** Names of the parameters of its path, in order. */
  params: string[]
  /** Names of the fields of its JSON body; null without one. */
  fields: string[] | null
}

interface OpenApiOperation {
  operationId: string
  requestBody?: {
    content: Record<string, { schema: { properties?: Record<string, unknown> } }>
  }
}

/** From the document that the API itself gives to everyone. */
export async function readOperations(test: TestApp): Promise<Operation[]> {
  const response = await test.request('GET', '/api/openapi.json', { token: null })
  const { paths } = (await response.json()) as {
    paths: Record<string, Record<string, OpenApiOperation>>
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, requestBody }]) => {
      const json = requestBody?.content['application/json']
      return {
        id: operationId,
        method: method.toUpperCase(),
        path,
        params: [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name),
        fields: json === undefined ? null : Object.keys(json.schema.properties ?? {}),
      }
    }),
  )
}

/** What a parameter of a path names, by the word before it. */
const KIND_OF_PLACE = {
  projects: 'project',
  deployments: 'deployment',
  deliveries: 'delivery',
  apps: 'app',
  installations: 'installation',
  organizations: 'organization',
  members: 'member',
  invitations: 'invitation',
  tokens: 'token',
  environment: 'variable',
  domains: 'domain',
  sessions: 'session',
  identities: 'identity',
  keys: 'key',
} as const

export type Kind = (typeof KIND_OF_PLACE)[keyof typeof KIND_OF_PLACE]

/** The kinds of an operation's parameters. A new kind of thing needs a line above and one in `buildScene()`. */
export function kindsOf(operation: Operation): Kind[] {
  return operation.params.map((name) => {
    const [, place = ''] = new RegExp(`/([\\w-]+)/\\{${name}\\}`).exec(operation.path) ?? []
    assert.ok(place in KIND_OF_PLACE, `tell the sweep what {${name}} of ${operation.path} names`)
    return KIND_OF_PLACE[place as keyof typeof KIND_OF_PLACE]
  })
}

/** The path of an operation with values for its parameters, in order. */
export function pathOf(operation: Operation, values: readonly string[]): string {
  return operation.params.reduce(
    (path, name, index) => path.replace(`{${name}}`, encodeURIComponent(values[index] ?? '')),
    operation.path,
  )
}

/** An organization with one of everything that an address can name. */
export interface Scene {
  ids: Readonly<Record<Kind, string>>
  owner: TestBrowser
}

/** Makes one. `name` tells its things from those of others. */
export async function buildScene(
  test: TestApp,
  organizationId: string,
  name: string,
): Promise<Scene> {
  const owner = await test.as('owner', { organizationId })
  const victim = await test.as('member', { organizationId })
  const body = { name, ...REPO, environment: [{ name: name.toUpperCase(), value: 'x' }] }
  const made = await owner('POST', '/api/projects', { body })
  assert.equal(made.status, 201, await made.clone().text())
  const project = ((await made.json()) as { id: string }).id
  const domain = `${name}.example.org`
  const added = await owner('POST', `/api/projects/${project}/domains`, {
    body: { hostname: domain },
  })
  assert.equal(added.status, 201, await added.clone().text())
  const ids = {
    project,
    domain,
    variable: name.toUpperCase(),
    organization: organizationId,
    deployment: await addDeployment(test, project),
    delivery: await addDelivery(test.app.db, organizationId),
    ...(await addGithubApp(test.app, organizationId)),
    member: victim.userId,
    session: owner.sessionId,
    token: (await addToken(test.app, organizationId)).id,
    invitation: await addInvitation(test, organizationId),
    identity: await addIdentity(test, owner.userId),
    key: 'k1',
  }
  return { ids, owner }
}

async function addDeployment(test: TestApp, projectId: string): Promise<string> {
  const commit = { sha: 'a'.repeat(40), message: 'First', author: null, committedAt: null }
  const request = { projectId, cause: 'first' as const, commit }
  const requested = await inTransaction(test.app.db, (tx) =>
    requestDeployment(test.app, tx, request),
  )
  return requested.deploymentId
}

async function addInvitation(test: TestApp, organizationId: string): Promise<string> {
  const id = newId()
  const now = test.app.clock.now()
  await test.app.db
    .insertInto('invitations')
    .values({
      id,
      organization_id: organizationId,
      email: `${id}@example.com`,
      role: 'member',
      project_access: 'all',
      project_ids: [],
      token_hash: id,
      invited_by_user_id: null,
      created_at: toIsoTime(now),
      expires_at: toIsoTime(now + 86_400_000),
      accepted_at: null,
      accepted_by_user_id: null,
      revoked_at: null,
    })
    .execute()
  return id
}

async function addIdentity(test: TestApp, userId: string): Promise<string> {
  const id = newId()
  const now = toIsoTime(test.app.clock.now())
  await test.app.db
    .insertInto('accounts')
    .values({
      id,
      user_id: userId,
      provider_id: 'https://id.example.com',
      account_id: id,
      password: null,
      access_token: null,
      refresh_token: null,
      id_token: null,
      access_token_expires_at: null,
      refresh_token_expires_at: null,
      scope: null,
      created_at: now,
      updated_at: now,
    })
    .execute()
  return id
}
