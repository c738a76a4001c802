/** Every operation of the OpenAPI document against every kind of asker. New operations are swept by themselves. */
import assert from 'node:assert/strict'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { errorBody } from '../contract/common.ts'
import { PERMISSIONS, ROLES, type Permission, type RoleName } from '../contract/permissions.ts'
import { ROUTES, type RouteId } from '../contract/routes.ts'
import { BODIES } from './_sweep-bodies.ts'
import { buildScene, kindsOf, pathOf, readOperations, type Operation } from './_sweep-scene.ts'
import {
  addOrganization,
  PUBLIC_URL,
  testApp,
  type SendOptions,
  type TestApp,
} from './_test-app.ts'

const rows: Readonly<Record<string, Permission>> = PERMISSIONS

function rowOf(operation: Operation): Permission {
  const row = rows[operation.id]
  assert.ok(row, `${operation.id} needs a row in permissions.ts`)
  return row
}

function bodyOf(operation: Operation): { body?: object } {
  if (operation.fields === null) return {}
  const body = BODIES[operation.id as RouteId]
  assert.ok(body, `${operation.id} needs an example in _sweep-bodies.ts`)
  return { body }
}

let lastAddress = 0
/** Another client for each request, so that no limit of an address is met. */
function nextAddress(): string {
  lastAddress += 1
  return `10.${lastAddress >> 16}.${(lastAddress >> 8) & 255}.${lastAddress & 255}`
}

describeOnBothEngines('every operation', (open) => {
  it('A-01 has a row in the table of permissions, and every row an operation', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const ids = (await readOperations(test)).map(({ id }) => id)
    assert.deepEqual(ids.toSorted(), Object.keys(PERMISSIONS).toSorted())
    assert.deepEqual(ids.toSorted(), Object.keys(ROUTES).toSorted())
  })

  it('A-01 answers 401 to everybody unknown, unless its row says everyone', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const cookie = `${test.app.signIn.cookies.name}=abc.def`
    const strangers: Record<string, string>[] = [
      {},
      { authorization: `Bearer nsk_${'a'.repeat(43)}` },
      { authorization: 'Bearer nsk_' },
      { authorization: "Bearer ' or 1=1 --" },
      { authorization: 'Basic YTpi' },
      { cookie },
    ]
    for (const operation of await readOperations(test)) {
      if (rowOf(operation).who === 'everyone') continue
      const path = pathOf(operation, ['x', 'x'])
      for (const credentials of strangers) {
        const headers = { ...credentials, origin: PUBLIC_URL }
        const options = { token: null, headers, address: nextAddress(), ...bodyOf(operation) }
        const response = await test.request(operation.method, path, options)
        assert.equal(response.status, 401, `${operation.id} ${JSON.stringify(credentials)}`)
        assert.equal(errorBody.parse(await response.json()).code, 'http.unauthorized')
      }
    }
  })

  it('A-02 answers the same 404 for ids of others as for unknown ones', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await addOrganization(database.db, 'org-other')
    const foreign = await buildScene(test, 'org-default', 'theirs')
    const own = await buildScene(test, 'org-other', 'ours')
    for (const operation of await readOperations(test)) {
      const { who } = rowOf(operation)
      if (who === 'operator' || who === 'everyone') continue
      for (const [index, kind] of kindsOf(operation).entries()) {
        const answers = []
        for (const id of [foreign.ids[kind], kind === 'variable' ? 'UNKNOWN' : 'unknown.id']) {
          const before = kindsOf(operation).slice(0, index)
          const values = [...before.map((one) => own.ids[one]), id, 'x']
          const path = pathOf(operation, values)
          const response = await own.owner(operation.method, path, bodyOf(operation))
          const text = await response.text()
          assert.equal(response.status, 404, `${operation.method} ${path}: ${text}`)
          answers.push(text.replaceAll(id, 'ID'))
        }
        assert.equal(answers[0], answers[1], operation.id)
      }
    }
  })

  it('A-02 knows nothing that a limited person does not reach', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { ids } = await buildScene(test, 'org-default', 'hidden')
    // With the highest role that can be limited.
    const limited = await test.as('member', { reach: [] })
    for (const operation of await readOperations(test)) {
      const { who, subject } = rowOf(operation)
      if (who !== 'viewer' && who !== 'member') continue
      if (subject !== 'project' && subject !== 'deployment') continue
      const answers = []
      for (const id of [ids[subject], 'unknown.id']) {
        const path = pathOf(operation, [id, 'x'])
        const response = await limited(operation.method, path, bodyOf(operation))
        assert.equal(response.status, 404, operation.id)
        answers.push((await response.text()).replaceAll(id, 'ID'))
      }
      assert.equal(answers[0], answers[1], operation.id)
    }
  })

  it('allows each asker what the table says, and nothing else', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (const operation of await readOperations(test)) {
      const row = rowOf(operation)
      if (row.who === 'everyone') continue
      for (const asker of await askersFor(test, operation)) {
        const path = pathOf(operation, harmlessValues(operation))
        // A field that nobody knows is refused after the asker was let in, and changes nothing.
        const body = operation.fields === null ? {} : { body: { probe: true } }
        const response = await asker.ask(operation.method, path, body)
        const verdict = await verdictOf(response)
        const facts = `${operation.id} as ${asker.name}: ${response.status}`
        assert.equal(verdict, expectedOf(row, asker), facts)
      }
    }
  })

  it('A-04 refuses fields that are not offered, naming them, wherever they stand', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { ids, owner } = await buildScene(test, 'org-default', 'shop')
    for (const operation of await readOperations(test)) {
      if (operation.fields === null) continue
      const path = pathOf(
        operation,
        kindsOf(operation).map((kind) => ids[kind]),
      )
      const send = rowOf(operation).who === 'operator' ? test.request : owner
      for (const { body, name } of withForeignFields(bodyOf(operation).body ?? {}, operation)) {
        const response = await send(operation.method, path, { body, address: nextAddress() })
        const text = await response.text()
        assert.equal(response.status, 422, `${operation.id} with ${name}: ${text}`)
        const { details = {} } = errorBody.parse(JSON.parse(text))
        assert.deepEqual(Object.keys(details), [name], operation.id)
      }
    }
  })
})

const FOREIGN_FIELDS = [
  'organization_id',
  'role',
  'id',
  'created_by_user_id',
  'value_sealed',
  'user_id',
  'constructor',
]

/** The body once for each field and object in it that does not offer it. */
function withForeignFields(body: object, operation: Operation): { body: object; name: string }[] {
  const top = FOREIGN_FIELDS.filter((field) => operation.fields?.includes(field) !== true).map(
    (field) => ({ body: { ...body, [field]: 'x' }, name: field }),
  )
  const inner = Object.entries(body).flatMap(([key, list]) => {
    if (!Array.isArray(list) || typeof list[0] !== 'object') return []
    return ['id', 'value_sealed'].map((field) => ({
      body: { ...body, [key]: [{ ...list[0], [field]: 'x' }] },
      name: `${key}.0.${field}`,
    }))
  })
  return [...top, ...inner]
}

type Ask = (method: string, path: string, options?: SendOptions) => Promise<Response>

interface Asker {
  name: string
  ask: Ask
  kind: 'person' | 'token' | 'operator'
  role: RoleName | null
  scope: string | null
}

/** The verdict that a reader of the table expects, by itself and not by the code that the API decides with. */
function expectedOf(row: Permission, asker: Asker): 'allowed' | 'refused' {
  const says = (allowed: boolean) => (allowed ? 'allowed' : 'refused')
  // To whoever belongs to none, no organization is there.
  if (row.subject === 'organization' && asker.role === null) return 'refused'
  if (row.who === 'everyone' || row.who === 'signedIn') return 'allowed'
  if (row.who === 'person') return says(asker.kind === 'person')
  if (row.who === 'operator') return says(asker.kind === 'operator')
  if (asker.role === null) return 'refused'
  const rank = ROLES.indexOf(asker.role) >= ROLES.indexOf(row.who)
  return says(rank && (asker.kind !== 'token' || asker.scope === row.scope))
}

/** Refused: by 403, or by 404 for an organization that the asker does not belong to. */
async function verdictOf(response: Response): Promise<'allowed' | 'refused'> {
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true
  if (response.ok || !isJson) {
    await response.body?.cancel()
    return 'allowed'
  }
  const { code } = errorBody.parse(await response.json())
  const refusals = ['http.forbidden', 'organization.none', 'organization.not_found']
  return refusals.includes(code) ? 'refused' : 'allowed'
}

/** The own organization, and otherwise what nobody has: who is allowed finds nothing, and changes nothing. */
function harmlessValues(operation: Operation): string[] {
  return kindsOf(operation).map((kind) => (kind === 'organization' ? 'org-default' : 'unknown'))
}

const known = new WeakMap<TestApp, Promise<Asker[]>>()

/** The same askers for all operations but those that end the asker's own access. */
async function askersFor(test: TestApp, operation: Operation): Promise<Asker[]> {
  const harmless =
    operation.method === 'GET' ||
    operation.fields !== null ||
    kindsOf(operation).some((kind) => kind !== 'organization')
  if (!harmless) return await makeAskers(test)
  const askers = known.get(test) ?? makeAskers(test)
  known.set(test, askers)
  return await askers
}

async function makeAskers(test: TestApp): Promise<Asker[]> {
  const people = []
  for (const role of [...ROLES, null]) {
    const ask = await test.as(role)
    const name = role ?? 'a person without an organization'
    people.push({ name, ask, kind: 'person' as const, role, scope: null })
  }
  const tokens = []
  for (const scope of ['projects:read', 'organization:write', 'tokens:write']) {
    const token = await test.tokenOf('org-default', { scopes: [scope] })
    const ask: Ask = (method, path, options) => test.request(method, path, { ...options, token })
    const name = `a token for ${scope}`
    tokens.push({ name, ask, kind: 'token' as const, role: 'owner' as const, scope })
  }
  const operator = { kind: 'operator', role: 'owner', scope: null } as const
  return [...people, ...tokens, { name: 'the operator', ask: test.request, ...operator }]
}
