/** The thread that digests large bodies; see `body-reader.ts`. */
import { parentPort } from 'node:worker_threads'

import { digestBody } from './digest-body.ts'

export interface BodyOrder {
  event: string
  segments: Uint8Array<ArrayBuffer>[]
}

parentPort?.on('message', ({ event, segments }: BodyOrder) => {
  const digested = digestBody(event, Buffer.concat(segments))
  parentPort?.postMessage(
    digested,
    digested.compressed === null ? [] : [digested.compressed.buffer],
  )
})
