import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createFrameBoundary } from './websocket-frames.ts'

function frame(length: number): Buffer {
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10)
  header[0] = 0x82
  header[1] = length < 126 ? length : length < 65_536 ? 126 : 127
  if (header.length === 4) header.writeUInt16BE(length, 2)
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([header, Buffer.alloc(length)])
}

describe('createFrameBoundary()', () => {
  it('knows the gaps between frames of all three length forms, however they are cut', () => {
    const frames = [0, 1, 125, 126, 65_535, 65_536, 3].map(frame)
    for (const step of [1, 2, 3, 7, 1000, 1_000_000]) {
      const boundary = createFrameBoundary()
      for (const bytes of frames) {
        assert.equal(boundary.isBetweenFrames(), true)
        for (let at = 0; at < bytes.length; at += step) {
          boundary.push(bytes.subarray(at, at + step))
          assert.equal(boundary.isBetweenFrames(), at + step >= bytes.length)
        }
      }
    }
  })
})
