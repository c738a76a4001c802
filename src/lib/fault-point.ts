import { readFileSync, rmSync } from 'node:fs'

/** Where a test, or a person who wants to see a recovery, names the point at which the process is to die. */
export const FAULT_POINT_FILE = 'fault-point'

/**
 * Kills this process the way a power cut would, once, at the point that the file names; without the file it does
 * nothing. The file lies in a directory that only the platform's own user may write to.
 */
export function createFaultPoint(path: string): (name: string) => void {
  return (name) => {
    if (readName(path) !== name) return
    rmSync(path)
    process.kill(process.pid, 'SIGKILL')
  }
}

function readName(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    // Not there: the ordinary case.
    return null
  }
}
