/** A close frame from server to client: status 1001, "going away". */
export const GOING_AWAY_FRAME = Buffer.from([0x88, 0x02, 0x03, 0xe9])

/** Follows a stream of WebSocket frames, to know where one may be put between two of them. */
export interface FrameBoundary {
  push(chunk: Buffer): void
  isBetweenFrames(): boolean
}

/** For frames of a server, which are not masked (a mask is allowed for all the same). */
export function createFrameBoundary(): FrameBoundary {
  let header = Buffer.alloc(0)
  let payloadLeft = 0
  return {
    push(chunk) {
      let rest = chunk
      while (rest.length > 0) {
        if (payloadLeft > 0) {
          const skipped = Math.min(payloadLeft, rest.length)
          payloadLeft -= skipped
          rest = rest.subarray(skipped)
          continue
        }
        const missing = headerLength(header) - header.length
        header = Buffer.concat([header, rest.subarray(0, missing)])
        rest = rest.subarray(missing)
        if (header.length < headerLength(header)) continue
        payloadLeft = payloadLength(header)
        header = Buffer.alloc(0)
      }
    },
    isBetweenFrames: () => header.length === 0 && payloadLeft === 0,
  }
}

/** As far as the bytes so far tell: two bytes at least. */
function headerLength(header: Buffer): number {
  const second = header[1]
  if (second === undefined) return 2
  const extended = (second & 0x7f) === 127 ? 8 : (second & 0x7f) === 126 ? 2 : 0
  return 2 + extended + (second & 0x80 ? 4 : 0)
}

function payloadLength(header: Buffer): number {
  const length = (header[1] ?? 0) & 0x7f
  if (length === 126) return header.readUInt16BE(2)
  if (length === 127) return Number(header.readBigUInt64BE(2))
  return length
}
