import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'

import type { Redactor } from '../secrets/redactor.ts'

/** How much of a step's output is passed on, in bytes: its beginning and its end. */
export interface OutputLimits {
  headBytes: number
  tailBytes: number
}

export const OUTPUT_LIMITS: OutputLimits = { headBytes: 4 * 1024 ** 2, tailBytes: 256 * 1024 }

const CHUNK_BYTES = 256 * 1024
/** Beyond this an output file whose middle is left out is emptied. */
const KEEP_ON_DISK_BYTES = 8 * 1024 ** 2
/** No secret is longer: with so much before it, the kept end begins with nothing that was cut in two. */
const LONGEST_SECRET_BYTES = 64 * 1024
const RECENT_CHARACTERS = 4000

export interface LogTail extends AsyncDisposable {
  /** Passes on what was written since the last call. True when that was so much that the file had to be emptied. */
  poll(): Promise<boolean>
  /** Passes on the rest. Returns the last lines, for an error's message. */
  end(): Promise<string[]>
}

/**
 * Follows the file that a process writes its output to, and passes it on redacted. However much is printed, neither
 * memory nor disk is filled: the middle of a very long output is left out, and the file emptied on the way.
 */
export async function tailLog(options: {
  path: string
  redactor: Pick<Redactor, 'stream'>
  output: (text: string) => void
  limits: OutputLimits
}): Promise<LogTail> {
  const { limits, redactor } = options
  const file = await open(options.path, 'r+')
  const decoder = new StringDecoder('utf8')
  const redacted = redactor.stream()
  const kept = createKeptEnd(limits.tailBytes)
  let offset = 0
  let passed = 0
  let recent = ''

  const pass = (text: string) => {
    if (text === '') return
    recent = (recent + text).slice(-RECENT_CHARACTERS)
    options.output(text)
  }
  const readHead = async (size: number) => {
    while (passed < limits.headBytes && offset < size) {
      const chunk = await readAt(file, offset, Math.min(CHUNK_BYTES, limits.headBytes - passed))
      if (chunk.length === 0) return
      offset += chunk.length
      passed += chunk.length
      pass(redacted.write(decoder.write(chunk)))
    }
  }
  const poll = async () => {
    const { size } = await file.stat()
    if (size < offset) offset = 0
    await readHead(size)
    if (passed < limits.headBytes || offset >= size) return false
    const skip = Math.max(0, size - offset - kept.capacity)
    kept.add(await readAt(file, offset + skip, size - offset - skip), skip)
    offset = size
    if (offset < KEEP_ON_DISK_BYTES) return false
    // Written with O_APPEND: the next write starts at the beginning again. What came since the read is lost.
    await file.truncate(0)
    offset = 0
    return true
  }
  return {
    poll,
    end: async () => {
      await poll()
      const { omitted, bytes } = kept
      // What the stream still holds back may be the beginning of a secret whose rest was left out.
      if (omitted() > 0) pass(redactKeptEnd(redactor, bytes(), omitted()))
      else pass(redacted.write(decoder.write(bytes()) + decoder.end()) + redacted.end())
      return lastLines(recent)
    },
    [Symbol.asyncDispose]: () => file.close(),
  }
}

/** The last bytes of an output, with so many before them that a secret which reaches into them is recognised. */
function createKeptEnd(tailBytes: number) {
  const capacity = tailBytes + LONGEST_SECRET_BYTES
  let kept: Buffer = Buffer.alloc(0)
  let omitted = 0
  return {
    capacity,
    add: (fresh: Buffer, skipped: number) => {
      const all = skipped > 0 ? fresh : Buffer.concat([kept, fresh])
      const excess = Math.max(0, all.length - capacity)
      omitted += skipped + excess + (skipped > 0 ? kept.length : 0)
      kept = Buffer.from(all.subarray(excess))
    },
    omitted: () => omitted,
    bytes: () => kept,
  }
}

function redactKeptEnd(redactor: Pick<Redactor, 'stream'>, bytes: Buffer, omitted: number): string {
  const overlap = Math.min(LONGEST_SECRET_BYTES, bytes.length)
  const stream = redactor.stream()
  // Not shown, but it decides where secrets begin.
  stream.write(bytes.subarray(0, overlap).toString('utf8'))
  const text = stream.write(bytes.subarray(overlap).toString('utf8')) + stream.end()
  const megabytes = Math.max(1, Math.round((omitted + overlap) / 1024 ** 2))
  return `\n… ${megabytes} MB left out …\n${text}`
}

function lastLines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .slice(-10)
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await file.read(buffer, 0, length, position)
  return buffer.subarray(0, bytesRead)
}
