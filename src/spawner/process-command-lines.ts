import { readFileSync } from 'node:fs'

import { listPids } from '../lib/pids.ts'

/** The command lines of all processes, arguments joined by a blank; none where there is no `/proc`. */
export function readProcessCommandLines(): string[] {
  return listPids().map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    } catch {
      // It ended in between.
      return ''
    }
  })
}
