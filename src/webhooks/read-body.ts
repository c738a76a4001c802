import type { IncomingMessage } from 'node:http'

import { createByteBudget, type ByteBudget } from './byte-budget.ts'
import { collectSegments } from './segments.ts'

export const MAX_BODY_BYTES = 25 * 1024 * 1024

/** Up to here bodies have memory of their own: large ones cannot keep the many small ones out. */
export const SMALL_BYTES = 256 * 1024

const BODY_DEADLINE_MS = 15_000

/** Memory of bodies that are under way. */
export interface BodyMemory {
  small: ByteBudget
  large: ByteBudget
}

/** No address may hold all: behind a proxy that is not trusted, all senders are one address. */
export function createBodyMemory(): BodyMemory {
  const mebibyte = 1024 * 1024
  return {
    small: createByteBudget({ total: 32 * mebibyte, perKey: 24 * mebibyte }),
    large: createByteBudget({ total: 64 * mebibyte, perKey: 32 * mebibyte }),
  }
}

export type ReadBody =
  | { kind: 'complete'; segments: Uint8Array<ArrayBuffer>[]; bytes: number; release: () => void }
  | { kind: 'too_large' | 'busy' | 'timeout' | 'gone'; bytes: number }

/**
 * Reads a body within the limits of size, time and memory, handing on each piece as it comes. What is complete holds
 * its memory until `release()`.
 */
export async function readBody(
  request: IncomingMessage,
  options: { memory: BodyMemory; key: string; deadlineMs?: number },
  onPiece: (piece: Uint8Array) => void,
): Promise<ReadBody> {
  const reservation = reserveFor(options.memory, options.key)
  const segments = collectSegments({ reserve: reservation.take, onFull: onPiece })
  const ended = Promise.withResolvers<'complete' | 'too_large' | 'busy' | 'timeout' | 'gone'>()
  const onData = (chunk: Uint8Array) => {
    if (segments.bytes + chunk.length > MAX_BODY_BYTES) ended.resolve('too_large')
    else if (!segments.add(chunk)) ended.resolve('busy')
    else return
    request.pause()
    request.off('data', onData)
  }
  const timer = setTimeout(() => ended.resolve('timeout'), options.deadlineMs ?? BODY_DEADLINE_MS)
  const onEnd = () => ended.resolve('complete')
  const onGone = () => ended.resolve('gone')
  request.on('data', onData).once('end', onEnd).once('error', onGone).once('close', onGone)
  const kind = await ended.promise
  clearTimeout(timer)
  request.off('data', onData).off('end', onEnd).off('close', onGone)
  if (kind !== 'complete') {
    request.pause()
    reservation.release()
    return { kind, bytes: segments.bytes }
  }
  return { kind, segments: segments.end(), bytes: segments.bytes, release: reservation.release }
}

function reserveFor({ small, large }: BodyMemory, key: string) {
  let held = 0
  const taken: (() => void)[] = []
  return {
    take: (bytes: number): boolean => {
      const budget = held < SMALL_BYTES ? small : large
      if (!budget.take(key, bytes)) return false
      held += bytes
      taken.push(() => budget.give(key, bytes))
      return true
    },
    release: () => {
      for (const give of taken.splice(0)) give()
    },
  }
}
