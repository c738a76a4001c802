import { formatForPeople } from './human-line.ts'

/** Writes log lines to stdout: as they are for programs, shortened on a terminal. */
export function createLineWriter(): (line: string) => void {
  if (!process.stdout.isTTY) return (line) => void process.stdout.write(line)
  return (line) => void process.stdout.write(`${formatForPeople(line)}\n`)
}

/**
 * Control and traffic write to the terminal, pipe or journal of the foreground process and outlive it. When the reader
 * is gone a write fails with EPIPE (or EIO on a closed terminal), which as an unhandled error would end the very
 * processes that must go on: those lines are lost, and nothing else.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}
