import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'

import {
  assert as assertProperty,
  constantFrom,
  dictionary,
  jsonValue,
  oneof,
  property,
  record,
} from 'fast-check'

import { LIFECYCLE_ACTIONS, readPayload } from './read-payload.ts'

interface Example {
  repository?: { id: number }
  installation?: { id: number }
  action?: string
}

const EXAMPLES = createRequire(import.meta.url)('@octokit/webhooks-examples') as {
  name: string
  examples: Example[]
}[]

const read = (event: string, text: string) => readPayload(event, Buffer.from(text))

const PUSH = {
  ref: 'refs/heads/main',
  before: 'a'.repeat(40),
  after: 'b'.repeat(40),
  repository: { id: 1 },
}

function problemOf(change: object, event = 'push') {
  return read(event, JSON.stringify({ ...PUSH, ...change }))?.problem
}

describe('readPayload()', () => {
  it('reads every example of every event that GitHub documents', () => {
    for (const { name, examples } of EXAMPLES) {
      for (const example of examples) {
        const facts = read(name, JSON.stringify(example))
        const expected = {
          problem: null,
          repoId: example.repository?.id ?? null,
          installationId: example.installation?.id ?? null,
          action: example.action ?? null,
        }
        const { problem, repoId, installationId, action } = facts ?? {}
        // The documentation has a few of the other lifecycle's actions, which mean nothing to us.
        assert.deepEqual({ problem, repoId, installationId, action }, expected, name)
      }
    }
    const names = new Set(EXAMPLES.map(({ name }) => name))
    // The collection has none of targets.
    const known = Object.keys(LIFECYCLE_ACTIONS).filter((event) => names.has(event))
    assert.equal(known.length, Object.keys(LIFECYCLE_ACTIONS).length - 1)
  })

  it('W-13 finds no object in what is none', () => {
    const bodies = ['null', '[]', '"x"', '0', '', '{', 'Hello, World!', '{"a":1}}', '\u0000']
    for (const body of bodies) assert.equal(read('push', body), null, body)
    assert.equal(readPayload('push', new Uint8Array([0x22, 0xff, 0x22])), null)
  })

  it('W-14 says what a push lacks, and rounds no id', () => {
    assert.equal(problemOf({}), null)
    assert.equal(problemOf({ commits: null, head_commit: null, unknown: [{}] }), null)
    for (const change of [
      { repository: undefined },
      { repository: null },
      { repository: { id: '1' } },
      { repository: { id: 1.5 } },
      { repository: { id: -1 } },
      { repository: [] },
      { before: 'x' },
      { after: null },
      { after: 'B'.repeat(40) },
      { ref: 1 },
      { ref: undefined },
      { action: 'created' },
    ]) {
      assert.equal(problemOf(change), 'unexpected_payload', JSON.stringify(change))
    }
    for (const ref of ['', 'x'.repeat(10_000), 'refs/heads/a\nb', 'a\u0000', '\ud800', 'a\u0085']) {
      assert.equal(problemOf({ ref }), 'invalid_ref', JSON.stringify(ref))
    }
    const large = JSON.stringify(PUSH).replace('"id":1', '"id":9007199254740993')
    assert.equal(read('push', large)?.problem, 'id_too_large')
    assert.equal(read('push', large)?.repoId, null)
  })

  it('W-15 is not impressed by names that mean something to objects', () => {
    const body = `{"__proto__":{"polluted":true,"ref":"refs/heads/main"},"constructor":{"prototype":{"polluted":true}},"toString":1}`
    assert.equal(read('push', body)?.ref, null)
    assert.equal(read('constructor', body)?.problem, null)
    assert.equal(read('__proto__', body)?.problem, null)
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
  })

  it('W-27 believes no event that the payload is not of', () => {
    const installation = { action: 'deleted', installation: { id: 1 } }
    assert.equal(problemOf({ installation: { id: 1 } }, 'installation'), 'unexpected_payload')
    assert.equal(read('installation', JSON.stringify(installation))?.problem, null)
    assert.equal(read('push', JSON.stringify(installation))?.problem, 'unexpected_payload')
    assert.equal(read('repository', JSON.stringify(installation))?.problem, 'unexpected_payload')
  })

  it('never throws, whatever the JSON', () => {
    const events = constantFrom('push', 'installation', 'repository', 'ping')
    const parts = dictionary(
      constantFrom('ref', 'before', 'after', 'repository', 'installation', 'sender', 'action'),
      oneof(jsonValue(), record({ id: jsonValue(), login: jsonValue() })),
    )
    assertProperty(
      property(events, parts, (event, value) => {
        const facts = read(event, JSON.stringify(value))
        assert.ok(facts?.repoId === null || Number.isSafeInteger(facts?.repoId))
      }),
    )
  })
})
