import { open } from 'node:fs/promises'

const TAIL_BYTES = 8192
const TAIL_LINES = 20

/** The last lines of a log file, at most twenty; empty when there is none. */
export async function readLastLines(path: string): Promise<string> {
  const text = await readTail(path, TAIL_BYTES)
  return text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
}

/** The last `bytes` of a file as text; empty when it cannot be read. */
export async function readTail(path: string, bytes: number): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const length = Math.min(size, bytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString('utf8', 0, bytesRead)
  } catch {
    // It only explains something: its absence must not hide what it explains.
    return ''
  }
}
