import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { formatForPeople } from './human-line.ts'

describe('formatForPeople()', () => {
  it('keeps the time of day, the room, the message and the facts', () => {
    const line = `{"level":"info","time":"2026-11-21T10:11:12.345Z","room":"traffic","port":8080,"msg":"listening"}\n`
    assert.equal(formatForPeople(line), '10:11:12 traffic listening port=8080')
  })

  it('names what is worse than information', () => {
    const line = `{"level":"error","time":"2026-11-21T10:11:12.345Z","msg":"broken"}`
    assert.equal(formatForPeople(line), '10:11:12 ERROR nanoscale broken')
  })

  it('passes on what is no log line', () => {
    assert.equal(formatForPeople('plain text\n'), 'plain text')
  })
})
