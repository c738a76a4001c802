import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import { nanoscaleSchema, parseNanoscaleJson } from './nanoscale-json.ts'

function reasonAgainst(text: string): string {
  try {
    parseNanoscaleJson('nanoscale.json', text)
  } catch (error) {
    assert.ok(isOperationError(error, 'build.invalid_configuration'))
    return error.message
  }
  return 'accepted'
}

describe('parseNanoscaleJson()', () => {
  it('reads every field', () => {
    const text = JSON.stringify({
      $schema: 'x',
      kind: 'node',
      rootDirectory: './apps//web/',
      watchPaths: ['src/**'],
      install: false,
      build: 'npm run "build it"',
      start: ['node', 'a b.js'],
      release: 'node migrate.js',
      outputDirectory: 'dist',
      healthPath: '/healthz',
      singlePageApp: true,
    })
    assert.deepEqual(parseNanoscaleJson('nanoscale.json', text), {
      kind: 'node',
      rootDirectory: 'apps/web',
      watchPaths: ['src/**'],
      install: null,
      build: ['npm', 'run', 'build it'],
      start: ['node', 'a b.js'],
      release: ['node', 'migrate.js'],
      outputDirectory: 'dist',
      healthPath: '/healthz',
      singlePageApp: true,
    })
  })

  it('names the line and the field of what is wrong', () => {
    assert.match(reasonAgainst('{\n  "biuld": "x"\n}'), /nanoscale\.json:2: "biuld" is not known/)
    assert.match(reasonAgainst('{\n\n "singlePageApp": 1}'), /:3: "singlePageApp" must be true/)
    assert.match(reasonAgainst('{"start": "a && b"}'), /:1: "start" .*"&" needs a shell.*array/)
    assert.match(reasonAgainst('{"start": "node $FILE"}'), /"\$" needs a shell/)
    assert.match(reasonAgainst('{"start": ["a", 1]}'), /must be a command/)
    assert.match(reasonAgainst('[]'), /must be an object/)
  })

  it('names the line and column of a syntax error', () => {
    assert.match(reasonAgainst('{\n  "kind": "node",\n}'), /:3:1: a name in double quotes/)
    assert.match(reasonAgainst('{\n  "kind": node }'), /:2:11: "n" is not expected/)
    assert.match(reasonAgainst('{"kind": "node", "kind": "static"}'), /"kind" is given twice/)
    assert.match(reasonAgainst('{"kind": "node"'), /"," or "}"/)
    assert.match(reasonAgainst(''), /ends too early/)
    assert.match(reasonAgainst('['.repeat(100)), /nested too deeply/)
  })

  it('G-20 refuses paths that leave the repository', () => {
    for (const path of ['../../etc/passwd', '/etc', 'a\\u0000b', '..%2f', 'a/../../b']) {
      assert.match(reasonAgainst(`{"rootDirectory": "${path}"}`), /inside the repository/, path)
      assert.match(reasonAgainst(`{"outputDirectory": "${path}"}`), /inside the repository/, path)
    }
  })

  it('reads "__proto__" as any other unknown field', () => {
    assert.match(reasonAgainst('{"__proto__": {}}'), /"__proto__" is not known/)
  })
})

describe('nanoscaleSchema()', () => {
  it('is what is published as nanoscale.schema.json', async () => {
    const path = new URL('../../nanoscale.schema.json', import.meta.url)
    assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), nanoscaleSchema())
  })
})
