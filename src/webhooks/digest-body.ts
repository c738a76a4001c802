import { deflateRawSync, inflateRawSync } from 'node:zlib'

import { readPayload, type PayloadFacts } from './read-payload.ts'

/** What remains of a body: its facts, and itself in few bytes. */
export interface DigestedBody {
  /** Null: it is no JSON object. */
  facts: PayloadFacts | null
  /** Null when even so it is larger than bodies that are kept. */
  compressed: Uint8Array<ArrayBuffer> | null
}

/** Writing more than this would hold up everything else that uses the database. */
const MAX_KEPT_BYTES = 2 * 1024 * 1024

/** Costs about 10 ms for each MiB: large bodies are digested in another thread. */
export function digestBody(event: string, body: Uint8Array): DigestedBody {
  const facts = readPayload(event, body)
  const compressed = deflateRawSync(body, { level: 1 })
  return {
    facts,
    compressed: compressed.length > MAX_KEPT_BYTES ? null : new Uint8Array(compressed),
  }
}

/** The body again; throws for what `digestBody()` did not make. */
export function inflateBody(compressed: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(inflateRawSync(compressed, { maxOutputLength: 32 * 1024 * 1024 }))
}
