import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { formatAgo, formatDuration, formatSize, formatTable, printable } from './format.ts'

describe('printable()', () => {
  it('G-14 keeps what others wrote from steering the terminal', () => {
    assert.equal(printable('\u{1b}[31mred\u{1b}[0m\u{7}\rx'), 'red\u{FFFD}\u{FFFD}x')
    assert.equal(printable('a\tb\nc'), 'a\tb\nc')
  })
})

describe('formatTable()', () => {
  it('aligns columns under their titles', () => {
    const table = formatTable(
      ['NAME', 'URL'],
      [
        ['shop', 'http://a'],
        ['a', 'http://b'],
      ],
      'none',
    )
    assert.equal(table, 'NAME  URL\nshop  http://a\na     http://b')
  })

  it('says so when there is nothing', () => {
    assert.equal(formatTable(['NAME'], [], 'No tokens'), 'No tokens')
  })
})

describe('formatAgo()', () => {
  it('grows coarser with age', () => {
    const now = Date.parse('2026-03-01T00:00:00.000Z')
    const before = (ms: number) => formatAgo(new Date(now - ms).toISOString(), now)
    assert.deepEqual([1000, 30_000, 300_000, 7_200_000, 172_800_000, 40 * 86_400_000].map(before), [
      'just now',
      '30 s ago',
      '5 min ago',
      '2 h ago',
      '2 d ago',
      '2026-01-20',
    ])
    assert.equal(formatAgo(null, now), 'never')
  })
})

describe('formatDuration() and formatSize()', () => {
  it('choose a unit', () => {
    assert.deepEqual([12, 3210, 61_000].map(formatDuration), ['12 ms', '3.2 s', '1 min 1 s'])
    assert.deepEqual([5, 2048, 5 * 1_048_576].map(formatSize), ['5 B', '2.0 KiB', '5.0 MiB'])
  })
})
