import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { splitCommand } from './split-command.ts'

describe('splitCommand()', () => {
  it('splits into words and honours quotes', () => {
    const cases: [string, string[]][] = [
      ['npm run build', ['npm', 'run', 'build']],
      ['  node   "a b.js" \'c d\' ', ['node', 'a b.js', 'c d']],
      ['a"b c"d', ['ab cd']],
      ["echo '$HOME;&'", ['echo', '$HOME;&']],
      ['echo "a\\"b" c\\ d \\$x', ['echo', 'a"b', 'c d', '$x']],
      ["a ''", ['a', '']],
      ['x --name=a#b~c', ['x', '--name=a#b~c']],
      ['x {y}', ['x', '{y}']],
    ]
    for (const [line, argv] of cases) assert.deepEqual(splitCommand(line), { kind: 'argv', argv })
  })

  it('refuses what only a shell could do, and says what to use', () => {
    for (const line of [
      'a && b',
      'a; b',
      'a | b',
      'a > b',
      'echo $X',
      'echo "$X"',
      'echo `id`',
      '$(id)',
      'A=1 node x',
      'rm *.js',
      'ls ~',
      'a {b,c}',
      'a # b',
      'a\nb',
      "a 'b",
      'a "b',
      'a \\',
      '',
      '   ',
      "''",
    ]) {
      const split = splitCommand(line)
      assert.equal(split.kind, 'refused', line)
    }
    const split = splitCommand('a && b')
    assert.ok(split.kind === 'refused' && /script of package.json, or an array/.test(split.reason))
  })
})
