import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { errorBody } from '../contract/common.ts'
import { ROUTES } from '../contract/routes.ts'
import { REPO, testApp, type TestApp } from './_test-app.ts'

async function createProject(test: TestApp, body: object = {}): Promise<{ id: string }> {
  const response = await test.request('POST', '/api/projects', {
    body: { name: 'shop', ...REPO, ...body },
  })
  assert.equal(response.status, 201, await response.clone().text())
  return (await response.json()) as { id: string }
}

describeOnBothEngines('the API', (open) => {
  it('A-04 refuses fields that are not offered, naming them', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (const field of [
      'organization_id',
      'id',
      'account_slot',
      'live_deployment_id',
      'host_label',
      'constructor',
      'toString',
    ]) {
      const body = { name: 'shop', ...REPO, [field]: 'org-other' }
      const response = await test.request('POST', '/api/projects', { body })
      assert.equal(response.status, 422)
      const { details } = errorBody.parse(await response.json())
      assert.deepEqual(Object.keys(details ?? {}), [field])
    }
    const { id } = await createProject(test)
    const patch = { deleted_at: '2026-01-01T00:00:00.000Z' }
    const response = await test.request('PATCH', `/api/projects/${id}`, { body: patch })
    assert.equal(response.status, 422)
  })

  it('answers 400 to malformed JSON and 422 to a wrong type, naming the field', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const malformed = await test.request('POST', '/api/projects', { body: '{' })
    assert.equal(malformed.status, 400)
    assert.equal(errorBody.parse(await malformed.json()).code, 'http.malformed')
    const wrong = await test.request('POST', '/api/projects', { body: { ...REPO, name: 1 } })
    assert.equal(wrong.status, 422)
    assert.deepEqual(Object.keys(errorBody.parse(await wrong.json()).details ?? {}), ['name'])
  })

  it('creates a project, looks at its branch and shows it', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { id } = await createProject(test, {
      environment: [{ name: 'SECRET', value: 's3cret-v' }],
    })
    assert.deepEqual(test.reconciled, [id])
    const project = ROUTES['projects.read'].response.parse(
      await (await test.request('GET', `/api/projects/${id}`)).json(),
    )
    assert.equal(project.url, 'http://shop.apps.example.com:8080')
    assert.equal(project.app_state, 'not_deployed')
    const found = await test.request('GET', '/api/projects?name=shop')
    const list = ROUTES['projects.list'].response.parse(await found.json())
    assert.deepEqual(
      list.items.map((item) => item.id),
      [id],
    )
  })

  it('C-09 never shows the value of a variable', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { id } = await createProject(test, {
      environment: [{ name: 'A', value: 'first-s3cret' }],
    })
    const put = { variables: [{ name: 'B', value: 'second-s3cret', scope: 'run' }] }
    const answers = [
      await test.request('PUT', `/api/projects/${id}/environment`, { body: put }),
      await test.request('GET', `/api/projects/${id}/environment`),
      await test.request('GET', `/api/projects/${id}`),
      await test.request('PUT', `/api/projects/${id}/environment`, {
        body: { variables: [{ name: 'PORT', value: 'third-s3cret' }] },
      }),
    ]
    for (const answer of answers) assert.doesNotMatch(await answer.text(), /s3cret/)
    assert.equal(answers[3]?.status, 422)
    assert.doesNotMatch(test.lines.join('\n'), /s3cret/)
  })

  it('C-11 keeps the value when the mask comes back', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { id } = await createProject(test, { environment: [{ name: 'A', value: 'kept' }] })
    const body = { variables: [{ name: 'A', value: '••••••••', scope: 'build' }] }
    const response = await test.request('PUT', `/api/projects/${id}/environment`, { body })
    assert.equal(response.status, 200)
    const { openVariables } = await import('../projects/variable-records.ts')
    const [variable] = await openVariables(test.app.keyring, database.db, id)
    assert.equal(variable?.value.reveal(), 'kept')
    assert.equal(variable?.scope, 'build')
    const fresh = { variables: [{ name: 'NEW', value: '••••••••' }] }
    const refused = await test.request('PUT', `/api/projects/${id}/environment`, { body: fresh })
    assert.equal(refused.status, 422)
  })

  it('pages through projects and caps a page', async () => {
    await using database = await open()
    using test = testApp(database.db)
    for (const name of ['one', 'two', 'three']) await createProject(test, { name })
    const names: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const query = cursor === '' ? '' : `&cursor=${cursor}`
      const response = await test.request('GET', `/api/projects?limit=2${query}`)
      const page = ROUTES['projects.list'].response.parse(await response.json())
      names.push(...page.items.map((item) => item.name))
      cursor = page.next_cursor
    }
    assert.deepEqual(names, ['one', 'two', 'three'])
    assert.equal((await test.request('GET', '/api/projects?limit=10000')).status, 422)
  })

  it('deletes a project: its name and domains are free at once, itself 404', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const { id } = await createProject(test)
    const hostname = 'shop.example.org'
    await test.request('POST', `/api/projects/${id}/domains`, { body: { hostname } })
    assert.equal((await test.request('DELETE', `/api/projects/${id}`)).status, 202)
    assert.equal((await test.request('GET', `/api/projects/${id}`)).status, 404)
    assert.ok(test.published() > 0)
    const again = await createProject(test)
    const added = await test.request('POST', `/api/projects/${again.id}/domains`, {
      body: { hostname },
    })
    assert.equal(added.status, 201)
  })

  it('makes tokens that work until they are revoked', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const made = await test.request('POST', '/api/tokens', { body: { name: 'laptop' } })
    const { token, id } = ROUTES['tokens.create'].response.parse(await made.json())
    const me = await test.request('GET', '/api/me', { token })
    assert.equal(ROUTES.me.response.parse(await me.json()).token?.id, id)
    assert.doesNotMatch(await (await test.request('GET', '/api/tokens')).text(), /nsk_/)
    assert.equal((await test.request('GET', '/api/instance/keys', { token })).status, 403)
    await test.request('DELETE', `/api/tokens/${id}`)
    assert.equal((await test.request('GET', '/api/me', { token })).status, 401)
  })

  it('tells a failure inside a stream as an event, without its inside', async () => {
    await using database = await open()
    using test = testApp(database.db)
    test.app.instance.rotateKeys = (onProgress) => {
      onProgress({ resealed: 1, total: 2 })
      return Promise.reject(new Error('the inside'))
    }
    const text = await (await test.request('POST', '/api/instance/keys/rotate')).text()
    assert.match(text, /event: progress\ndata: {"resealed":1,"total":2}/)
    assert.match(text, /event: error\ndata: {.*"code":"http.internal"/)
    assert.doesNotMatch(text, /the inside|event: end/)
  })

  it('A-12 answers an unknown failure with nothing but a request id, and logs it', async () => {
    await using database = await open()
    using test = testApp(database.db)
    await database.db.schema.dropTable('api_tokens').execute()
    const failed = await test.request('GET', '/api/tokens')
    assert.equal(failed.status, 500)
    const body = errorBody.parse(await failed.json())
    assert.deepEqual(Object.keys(body).toSorted(), ['code', 'error', 'request_id'])
    assert.doesNotMatch(JSON.stringify(body), /api_tokens|select|Error:/)
    assert.ok(
      test.lines.some(
        (line) => line.includes(body.request_id ?? '') && line.includes('api_tokens'),
      ),
    )
  })

  it('refuses JSON that is nested deeply as any other', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    for (const body of [deep, `{"name":${deep}}`, `{"name":"a","scopes":${deep}}`]) {
      const response = await test.request('POST', '/api/tokens', { body })
      assert.equal(response.status, 422)
    }
  })

  it('answers 413 to a body over the limit, and to strangers 401', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const body = 'x'.repeat(1_048_577)
    const large = await test.request('POST', '/api/projects', { body })
    assert.equal(large.status, 413)
    assert.equal(errorBody.parse(await large.json()).code, 'http.too_large')
    const stranger = await test.request('POST', '/api/projects', { body, token: null })
    assert.equal(stranger.status, 401)
  })
})

describeOnBothEngines('the home page', (open) => {
  it('answers strangers with safe headers', async () => {
    await using database = await open()
    using test = testApp(database.db)
    const response = await test.request('GET', '/', { token: null })
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    assert.equal(response.headers.get('cache-control'), 'no-store')
  })
})

describe('the API without records', () => {
  const nowhere = {} as never

  it('answers public routes with safe headers and no scripts', async () => {
    using test = testApp(nowhere)
    for (const path of [
      '/healthz',
      '/readyz',
      '/api/docs',
      '/api/openapi.json',
      '/nanoscale.schema.json',
    ]) {
      const response = await test.request('GET', path, { token: null })
      assert.equal(response.status, 200, path)
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
      assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'/)
      assert.doesNotMatch(await response.text(), /<script|https?:\/\/(unpkg|cdn)/)
    }
  })

  it('describes every route in its OpenAPI document', async () => {
    using test = testApp(nowhere)
    const response = await test.request('GET', '/api/openapi.json', { token: null })
    const document = (await response.json()) as {
      openapi: string
      paths: Record<string, Record<string, { operationId: string }>>
    }
    assert.match(document.openapi, /^3\.1/)
    const ids = Object.values(document.paths)
      .flatMap((methods) => Object.values(methods))
      .map((operation) => operation.operationId)
    assert.deepEqual(ids.toSorted(), Object.keys(ROUTES).toSorted())
  })

  it('is not ready while a part of it is away', async () => {
    using test = testApp(nowhere)
    test.app.instance.readiness = () => Promise.resolve({ database: true, traffic: false })
    const response = await test.request('GET', '/readyz', { token: null })
    assert.equal(response.status, 503)
    assert.deepEqual(await response.json(), {
      ready: false,
      checks: { database: 'ok', traffic: 'failed' },
    })
  })
})
