import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { parseClerkEvent } from './parse-clerk-event.ts'

const AT = 1_780_000_000_000
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const parse = (type: string, data: unknown, more: Record<string, unknown> = {}) =>
  parseClerkEvent(bytes({ object: 'event', type, timestamp: AT, data, ...more }))

const USER = {
  id: 'user_2aBc',
  first_name: ' Ada ',
  last_name: 'Lovelace',
  username: 'ada',
  primary_email_address_id: 'idn_2',
  email_addresses: [
    { id: 'idn_1', email_address: 'old@example.com' },
    { id: 'idn_2', email_address: 'Ada@Example.com', verification: { status: 'verified' } },
  ],
  public_metadata: { anything: true },
}

function factsOf(type: string, data: unknown) {
  const parsed = parse(type, data)
  assert.equal(parsed.kind, 'event')
  return parsed.kind === 'event' ? parsed.event.facts : null
}

describe('parseClerkEvent()', () => {
  it('reads a person, whose address is the primary one wherever it stands', () => {
    const parsed = parse('user.created', USER, { instance_id: 'ins_1', event_attributes: {} })
    assert.deepEqual(parsed, {
      kind: 'event',
      event: {
        kind: 'user',
        type: 'user.created',
        clerkId: 'user_2aBc',
        at: AT,
        clerkUserId: null,
        clerkOrgId: null,
        facts: {
          name: 'Ada Lovelace',
          firstName: 'Ada',
          lastName: 'Lovelace',
          primaryEmail: 'ada@example.com',
          banned: false,
        },
      },
    })
  })

  it('has no address when Clerk names no primary one, and calls a person by what there is', () => {
    const nameless = { ...USER, first_name: null, last_name: '', primary_email_address_id: null }
    assert.deepEqual(factsOf('user.updated', { ...nameless, banned: true }), {
      name: 'ada',
      firstName: null,
      lastName: null,
      primaryEmail: null,
      banned: true,
    })
    const byPhone = { id: 'user_1', username: null, email_addresses: [] }
    assert.deepEqual(factsOf('user.created', byPhone), {
      name: 'Unnamed',
      firstName: null,
      lastName: null,
      primaryEmail: null,
      banned: false,
    })
  })

  it('takes from names what a database or a terminal would choke on', () => {
    const hostile = { id: 'org_1', name: 'A\u0000\u001B[2Jb\uD800', slug: null, created_by: '' }
    assert.deepEqual(factsOf('organization.created', hostile), {
      name: 'A[2Jb\uFFFD',
      slug: null,
      createdBy: null,
    })
    const long = { id: 'org_1', name: 'x'.repeat(10_000), created_by: 'user_1' }
    assert.deepEqual(factsOf('organization.updated', long), {
      name: 'x'.repeat(200),
      slug: null,
      createdBy: 'user_1',
    })
  })

  it('reads memberships, and deletions that say hardly anything', () => {
    const data = {
      id: 'orgmem_1',
      role: 'org:admin',
      organization: { id: 'org_1' },
      public_user_data: { user_id: 'user_1' },
      created_at: AT - 5,
    }
    const base = { kind: 'membership', clerkId: 'orgmem_1', at: AT }
    assert.deepEqual(parse('organizationMembership.created', data), {
      kind: 'event',
      event: {
        ...base,
        type: 'organizationMembership.created',
        clerkUserId: 'user_1',
        clerkOrgId: 'org_1',
        facts: { role: 'org:admin', joinedAt: AT - 5 },
      },
    })
    assert.deepEqual(parse('organizationMembership.deleted', { id: 'orgmem_1', deleted: true }), {
      kind: 'event',
      event: {
        ...base,
        type: 'organizationMembership.deleted',
        clerkUserId: null,
        clerkOrgId: null,
        facts: null,
      },
    })
    assert.equal(factsOf('user.deleted', { id: 'user_1', deleted: true }), null)
    assert.equal(factsOf('organization.deleted', { id: 'org_1', deleted: true }), null)
  })

  it('ignores what is of no concern, whatever is in it', () => {
    for (const type of [
      'session.created',
      'user.renamed',
      'user',
      'user.created.twice',
      'email.created',
    ]) {
      assert.equal(parse(type, { id: 7 }).kind, 'ignored', type)
    }
  })

  it('refuses what claims to be of concern and is malformed, naming the field and not its value', () => {
    const rows: [unknown, string][] = [
      [{ object: 'event', type: 'user.created', timestamp: AT }, 'data'],
      [{ object: 'event', type: 'user.created', timestamp: '1', data: USER }, 'timestamp'],
      [{ object: 'event', type: 'user.created', timestamp: 1.5, data: USER }, 'timestamp'],
      [{ object: 'event', type: 'user.created', timestamp: -1, data: USER }, 'timestamp'],
      [{ object: 'event', type: 'user.created', timestamp: 1e17, data: USER }, 'timestamp'],
      [{ object: 'thing', type: 'user.created', timestamp: AT, data: USER }, 'object'],
      [[], 'body'],
      [null, 'body'],
    ]
    for (const [value, field] of rows) assertMalformed(parseClerkEvent(bytes(value)), field)
    const ids = [
      7,
      null,
      '',
      'org_1',
      'user_',
      'user_a b',
      'user_a\u0000',
      `user_${'a'.repeat(65)}`,
    ]
    for (const id of ids) {
      assertMalformed(parse('user.created', { ...USER, id }), 'id')
      assertMalformed(parse('user.deleted', { id }), 'id')
    }
    const role = { id: 'orgmem_1', role: 7, organization: { id: 'org_1' }, public_user_data: {} }
    assertMalformed(parse('organizationMembership.created', role), 'role')
    assertMalformed(parse('organization.created', { id: 'org_1', name: 7 }), 'name')
    const email = { ...USER, email_addresses: [{ id: 'idn_1', email_address: 'secret'.length }] }
    assertMalformed(parse('user.created', email), 'email_addresses.0.email_address')
  })

  it('refuses what is not JSON', () => {
    for (const text of ['', '{', 'null,', '\uFEFF{}x']) {
      assert.equal(parseClerkEvent(Buffer.from(text)).kind, 'malformed')
    }
    assert.equal(parseClerkEvent(Uint8Array.of(0x22, 0xff, 0x22)).kind, 'malformed')
    assert.equal(parseClerkEvent(Buffer.from('['.repeat(100_000))).kind, 'malformed')
  })
})

function assertMalformed(parsed: ReturnType<typeof parseClerkEvent>, field: string): void {
  assert.equal(parsed.kind, 'malformed')
  if (parsed.kind !== 'malformed') return
  assert.ok(parsed.problem.startsWith(`${field}: `), parsed.problem)
}
