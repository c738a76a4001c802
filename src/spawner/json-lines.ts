import type { Socket } from 'node:net'

/** More than the largest environment or output that is passed; a line beyond it ends the connection. */
export const MAX_LINE_BYTES = 96 * 1024 * 1024

const NEWLINE = 0x0a

/**
 * Calls `onLine` for each newline-delimited JSON value that arrives, and ends the connection on one that is too long or
 * no JSON.
 */
export function readJsonLines(
  socket: Socket,
  options: { maxLineBytes: number },
  onLine: (value: unknown) => void,
): void {
  let chunks: Buffer[] = []
  let size = 0
  socket.on('data', (data: Buffer) => {
    let rest = data
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      chunks.push(rest.subarray(0, end))
      const line = Buffer.concat(chunks).toString('utf8')
      chunks = []
      size = 0
      rest = rest.subarray(end + 1)
      const value = parse(line)
      if (value === undefined) {
        socket.destroy()
        return
      }
      onLine(value.json)
    }
    size += rest.length
    if (size > options.maxLineBytes) {
      socket.destroy()
      return
    }
    if (rest.length > 0) chunks.push(rest)
  })
}

export function writeJsonLine(socket: Socket, value: unknown): void {
  if (socket.writable) socket.write(`${JSON.stringify(value)}\n`)
}

function parse(line: string): { json: unknown } | undefined {
  try {
    return { json: JSON.parse(line) as unknown }
  } catch {
    return undefined
  }
}
