import { readdirSync, readFileSync } from 'node:fs'

/** The command lines of all processes, arguments joined by a blank; empty where there is no `/proc`. */
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

function listPids(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  } catch {
    return []
  }
}
