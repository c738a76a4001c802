import { readdirSync } from 'node:fs'

/** Every pid of this machine now, ascending; none where there is no `/proc`. */
export function listPids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^[0-9]+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
  } catch {
    return []
  }
}
