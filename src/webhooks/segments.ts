/** Small ones first: most bodies are, and what is reserved counts. */
const SIZES = [16_384, 16_384, 32_768]
const BYTES = 65_536

/** Collects a body piece by piece in memory of its own. */
export interface Segments {
  /** Copies the chunk. Called with each segment that is full; false says that there is no room, and ends it. */
  add(chunk: Uint8Array): boolean
  /** What was collected, the last segment cut to its bytes. */
  end(): Uint8Array<ArrayBuffer>[]
  readonly bytes: number
}

/**
 * Chunks are copied, since a sender may cut a body into chunks of one byte, each of which keeps a whole read buffer in
 * memory. `reserve` is asked before a segment is made, `onFull` is given each one as soon as it is complete.
 */
export function collectSegments(options: {
  reserve: (bytes: number) => boolean
  onFull: (segment: Uint8Array) => void
}): Segments {
  const full: Uint8Array<ArrayBuffer>[] = []
  let current: Uint8Array<ArrayBuffer> | null = null
  let used = 0
  let bytes = 0
  const next = (): Uint8Array<ArrayBuffer> | null => {
    const size = SIZES[full.length] ?? BYTES
    return options.reserve(size) ? new Uint8Array(size) : null
  }
  return {
    get bytes() {
      return bytes
    },
    add: (chunk) => {
      let at = 0
      while (at < chunk.length) {
        current ??= next()
        if (current === null) return false
        const part = chunk.subarray(at, at + current.length - used)
        current.set(part, used)
        used += part.length
        at += part.length
        bytes += part.length
        if (used < current.length) continue
        options.onFull(current)
        full.push(current)
        current = null
        used = 0
      }
      return true
    },
    end: () => {
      if (current === null || used === 0) return full
      const last = current.subarray(0, used)
      options.onFull(last)
      current = null
      return [...full, last]
    },
  }
}
