import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { AUDIT_ACTIONS } from '../audit/audit-actions.ts'
import { ROUTES } from '../contract/routes.ts'
import { OperationError } from '../lib/errors.ts'
import { answerOf, detailsOf, STATUS_OF_CODE } from './errors.ts'

/**
 * Codes that no request meets: of starting, of the command line, of work that a deployment does in the background
 * (which keeps them as its reason), and of faults of ours. Whole rooms end with a dot.
 */
const INTERNAL = [
  'build.',
  'cli.',
  'command.',
  'config.',
  'control.',
  'database.',
  'platform.',
  'port.',
  'release.',
  'runtime.',
  'secrets.',
  'server.',
  'spawner.',
  'start.',
  'stop.',
  'traffic.',
  'audit.broken',
  'audit.interrupted',
  'clerk.unisolated',
  'deployment.cancelled',
  'deployment.cancelled_in_release',
  'deployment.configuration_unknown',
  'deployment.crashed_after_switch',
  'deployment.exited_early',
  'deployment.failed',
  'deployment.interrupted',
  'deployment.lost',
  'deployment.release_command_failed',
  'deployment.release_gone',
  'deployment.switched_elsewhere',
  'deployment.unhealthy',
  'github.link_inactive',
  'http.failed_to_listen',
  'http.internal',
  'http.not_found',
  'keyring.exposed',
  'keyring.interrupted',
  'keyring.invalid',
  'keyring.missing',
  'keyring.missing_key',
  'keyring.retired_key',
  'keyring.wrong_key',
  'oidc.insecure',
  'oidc.too_large',
  'oidc.unreachable',
  'source.check_out_failed',
  'source.damaged',
  'source.git_killed',
  'source.invalid_sha',
  'source.mirror_unusable',
  'source.no_space',
  'source.not_found',
  'source.refused',
  'source.unreachable',
  'source.unreadable',
]

const ROOT = join(import.meta.dirname, '..')
const SOURCES = globSync('**/*.ts', { cwd: ROOT })
  .filter((path) => !/\.test\.ts$|(^|\/)_|^http\/errors\.ts$/.test(path))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))

/** A code and the sentence beside it, when both stand there as literals. */
const THROWN =
  /new OperationError\(\s*'([a-z_]+\.[a-z_]+)',\s*(?:'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`)?/g

const thrown = SOURCES.flatMap(({ path, text }) =>
  [...text.matchAll(THROWN)].map(([, code = '', plain, template]) => ({
    path,
    code,
    sentence: plain ?? template ?? null,
  })),
)

/** Queries name columns as `table.column`, and tables are named as rooms are. */
const COLUMNS = new Set(
  globSync('database/{schema,*-tables}.ts', { cwd: ROOT })
    .flatMap((path) => [...readFileSync(join(ROOT, path), 'utf8').matchAll(/^  (\w+): /gm)])
    .map(([, name]) => name),
)

/** Also those that reach the constructor by a variable or a function of their room. */
function allCodes(): Set<string> {
  const rooms = new Set(thrown.map(({ code }) => code.slice(0, code.indexOf('.'))))
  const literals = SOURCES.flatMap(({ text }) =>
    [...text.matchAll(/'(([a-z]+)\.([a-z_]+))'/g)].flatMap(([, code = '', room = '', name = '']) =>
      rooms.has(room) && !isOther(code, name) ? [code] : [],
    ),
  )
  return new Set([...literals, ...thrown.map(({ code }) => code)])
}

/** What looks like a code and is none, unless it is thrown. */
function isOther(text: string, name: string): boolean {
  // A purpose beside the route of the same, and a host.
  if (text === 'oidc.sign_in' || text === 'github.com') return true
  return text in ROUTES || text in AUDIT_ACTIONS || COLUMNS.has(name) || text.endsWith('.sock')
}

describe('STATUS_OF_CODE', () => {
  const isInternal = (code: string) =>
    INTERNAL.some((entry) => (entry.endsWith('.') ? code.startsWith(entry) : code === entry))

  it('has every code of the source that a request may meet', () => {
    const codes = allCodes()
    assert.ok(codes.size > 100)
    const unknown = [...codes].filter((code) => !STATUS_OF_CODE.has(code) && !isInternal(code))
    assert.deepEqual(unknown, [], 'give these a status, or say that they are internal')
  })

  it('has no code that nobody throws, and no stale exception', () => {
    const codes = allCodes()
    // The parser of the body throws this one as an error of its own.
    const known = [...STATUS_OF_CODE.keys()].filter((code) => code !== 'http.malformed')
    assert.deepEqual(
      known.filter((code) => !codes.has(code)),
      [],
    )
    const stale = INTERNAL.filter((entry) => ![...codes].some((code) => code.startsWith(entry)))
    assert.deepEqual(stale, ['http.internal'])
  })
})

describe('OperationError', () => {
  it('carries one sentence without a full stop, which says what could not be done', () => {
    const beginnings = /^(?:Cannot |The |Nobody |\$\{)/
    const faults = thrown.filter(({ sentence }) => {
      if (sentence === null || sentence === '') return false
      return !beginnings.test(sentence) || /\.$|n't |[Pp]lease|!$/.test(sentence)
    })
    assert.deepEqual(faults, [])
  })
})

describe('answerOf()', () => {
  it('answers what a person can act on with its sentence', () => {
    const details = { name: ['it is empty'] }
    const error = new OperationError('project.invalid_name', 'Cannot name it', { details })
    assert.deepEqual(answerOf(error, 'r1'), {
      status: 422,
      body: { error: 'Cannot name it', code: 'project.invalid_name', details },
      unexpected: false,
    })
  })

  it('says nothing of what was not meant for the client', () => {
    for (const error of [
      new OperationError('spawner.invalid_place', 'Cannot use /var/lib/nanoscale'),
      new OperationError('release.not_sealed', 'Cannot seal /var/lib/nanoscale'),
      new Error('ENOENT /var/lib/nanoscale'),
    ]) {
      const answer = answerOf(error, 'r1')
      assert.equal(answer.status, 500)
      assert.equal(answer.unexpected, true)
      assert.equal(answer.body.request_id, 'r1')
      assert.doesNotMatch(JSON.stringify(answer), /var\/lib/)
    }
  })
})

describe('detailsOf()', () => {
  it('names the field of each finding', () => {
    const issues = [
      { path: ['a', 0], message: 'too short' },
      { path: [], message: 'no object' },
      { code: 'unrecognized_keys', path: ['b'], keys: ['x', 'y'], message: '' },
    ]
    assert.deepEqual(detailsOf(issues), {
      'a.0': ['too short'],
      body: ['no object'],
      'b.x': ['unknown field'],
      'b.y': ['unknown field'],
    })
  })
})
