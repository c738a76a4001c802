import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { hasSkipMarker, isWatched, patternsFromRoot, planDecision } from './decide-head.ts'

const NEW_HEAD = {
  first: false,
  autoDeploy: true,
  messages: null,
  watchPaths: null,
  changedPaths: null,
} as const

describe('planDecision()', () => {
  it('deploys a new head, and the first one whatever the settings', () => {
    assert.equal(planDecision(NEW_HEAD).reason, 'new_head')
    const first = { ...NEW_HEAD, first: true, autoDeploy: false }
    assert.deepEqual(planDecision(first), { decision: 'deploy', reason: 'first_deployment' })
  })

  it('skips when automatic deployment is off', () => {
    assert.equal(planDecision({ ...NEW_HEAD, autoDeploy: false }).reason, 'auto_deploy_off')
  })

  it('P-09 skips only when every commit since the live one carries a marker', () => {
    const all = { ...NEW_HEAD, messages: ['[skip ci] a', 'b [ci skip]'] }
    assert.deepEqual(planDecision(all), { decision: 'skip', reason: 'skip_marker' })
    assert.equal(planDecision({ ...NEW_HEAD, messages: ['[skip ci] a', 'b'] }).decision, 'deploy')
    assert.equal(planDecision({ ...NEW_HEAD, messages: [] }).decision, 'deploy')
    assert.equal(planDecision({ ...NEW_HEAD, messages: 'not_computable' }).decision, 'deploy')
  })

  it('P-10 skips when nothing watched changed, and deploys when that is not computable', () => {
    const watched = { ...NEW_HEAD, watchPaths: ['src/**'] }
    assert.equal(planDecision({ ...watched, changedPaths: ['docs/a.md'] }).reason, 'watch_paths')
    assert.equal(planDecision({ ...watched, changedPaths: ['src/a.ts'] }).decision, 'deploy')
    assert.equal(planDecision({ ...watched, changedPaths: 'not_computable' }).decision, 'deploy')
  })
})

describe('hasSkipMarker()', () => {
  it('knows the usual markers, in any case, and nothing that only looks like one', () => {
    for (const marker of ['[skip ci]', '[ci skip]', '[Skip Deploy]', '[no ci]']) {
      assert.ok(hasSkipMarker(`docs: typo ${marker}`), marker)
    }
    assert.ok(!hasSkipMarker('skip ci'))
    assert.ok(!hasSkipMarker('[skipci]'))
  })
})

describe('isWatched()', () => {
  it('matches files, directories and dot files, and leaves out what starts with !', () => {
    assert.ok(isWatched('src/a/b.ts', ['src/**']))
    assert.ok(isWatched('src/a/b.ts', ['src']))
    assert.ok(isWatched('src/.env', ['src/*']))
    assert.ok(isWatched('a/b/package.json', ['**/package.json']))
    assert.ok(isWatched('package.json', ['**/package.json']))
    assert.ok(!isWatched('srcs/a.ts', ['src/**']))
    assert.ok(!isWatched('a+b', ['a.b']))
    assert.ok(!isWatched('src/a.md', ['src/**', '!**/*.md']))
    assert.ok(isWatched('src/a.ts', ['!**/*.md']))
  })

  it('reads the patterns of an app below its root directory', () => {
    const patterns = patternsFromRoot('apps/web', [
      'src/**',
      '../../packages/**',
      '/shared',
      '!*.md',
    ])
    assert.deepEqual(patterns, ['apps/web/src/**', 'packages/**', 'shared', '!apps/web/*.md'])
    assert.deepEqual(patternsFromRoot('.', ['**']), ['**'])
  })
})
