import type { IncomingMessage } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'

/** The client announced a body and stopped sending it. */
export class ClientTooSlow extends Error {}

/**
 * The body of a request as something that may be thrown away: an app that answers before it has read everything must
 * not cost the client its connection. Null when there is none. Ends with an error when the client goes away or sends
 * nothing for `idleMs`; time in which the app does not read is not the client's.
 */
export function requestBody(request: IncomingMessage, idleMs: number): Readable | null {
  const { headers } = request
  const announced = headers['content-length']
  const isChunked = headers['transfer-encoding'] !== undefined
  if (!isChunked && (announced === undefined || Number(announced) === 0)) return null
  const body = new PassThrough()
  const onIdle = () => {
    if (body.writableNeedDrain) timer.refresh()
    else body.destroy(new ClientTooSlow(`The client sent nothing for ${idleMs / 1000} s`))
  }
  const timer = setTimeout(onIdle, idleMs)
  const onData = () => timer.refresh()
  request.on('data', onData)
  request.once('error', (error) => body.destroy(error))
  request.once('close', () => {
    if (!request.complete) body.destroy(new Error('The client closed the connection'))
  })
  const settle = () => {
    clearTimeout(timer)
    request.off('data', onData)
  }
  request.once('end', settle)
  body.once('close', settle)
  // Whoever reads the body sees its error; without a reader it must not end the process.
  body.on('error', () => {})
  request.pipe(body)
  return body
}
