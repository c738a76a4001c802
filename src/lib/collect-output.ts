/** What a command printed on one of its outputs, as far as the cap allows. */
export interface CollectedOutput {
  text(): string
  /** True when something was dropped. */
  truncated(): boolean
}

/** Reads a stream to its end and keeps its first `maxBytes`: the rest is read too, so that the writer never waits. */
export function collectOutput(
  stream: NodeJS.ReadableStream | null,
  maxBytes: number,
): CollectedOutput {
  const chunks: Buffer[] = []
  let size = 0
  let cut = false
  stream?.on('data', (chunk: Buffer) => {
    const room = maxBytes - size
    if (chunk.length > room) cut = true
    if (room <= 0) return
    chunks.push(chunk.subarray(0, room))
    size += Math.min(chunk.length, room)
  })
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    truncated: () => cut,
  }
}
