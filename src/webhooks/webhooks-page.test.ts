import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { ANSWERS } from './answers.ts'
import { PROJECT_OUTCOMES } from './look-at-projects.ts'
import { IGNORE_REASONS } from './plan-delivery.ts'

const PAGE = readFileSync(join(import.meta.dirname, '../../docs/webhooks.md'), 'utf8')

function sectionOf(name: string): string {
  return PAGE.split(`<!-- ${name} -->\n`)[1]?.split('<!-- end -->')[0] ?? ''
}

function tableOf(head: string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `|${cells.map((cell) => ` ${cell} `).join('|')}|\n`).join('')
}

describe('docs/webhooks.md', () => {
  it('has every answer, each with its one status', () => {
    const rows = Object.entries(ANSWERS).map(([name, { status, when }]) => [
      String(status),
      status < 300 ? `\`status: ${name}\`` : `\`webhook.${name}\``,
      when,
    ])
    assert.equal(sectionOf('answers'), tableOf(['Status', 'In the body', 'When'], rows))
  })

  it('has every outcome for a project, and every reason to do nothing', () => {
    const rowsOf = (meanings: object) =>
      Object.entries(meanings).map(([name, meaning]) => [`\`${name}\``, String(meaning)])
    const outcomes = tableOf(['Outcome', 'Meaning'], rowsOf(PROJECT_OUTCOMES))
    assert.equal(sectionOf('outcomes'), outcomes)
    assert.equal(sectionOf('reasons'), tableOf(['Reason', 'Meaning'], rowsOf(IGNORE_REASONS)))
  })
})
