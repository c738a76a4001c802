import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'

import type { HookConfig } from './state.ts'

/** What is kept of a receiver's answer. */
const MAX_RESPONSE_BYTES = 64 * 1024

export interface Outcome {
  status: string
  statusCode: number
  responseHeaders: Record<string, string>
  responseBody: string
}

/** There was no answer. */
export function fail(status: string): Outcome {
  return { status, statusCode: 0, responseHeaders: {}, responseBody: '' }
}

/** Posts a delivery on a connection of its own. Never rejects, follows no redirect. */
export function postDelivery(
  config: HookConfig,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  { deadlineMs, signal }: { deadlineMs: number; signal: AbortSignal },
): Promise<Outcome> {
  return new Promise((resolve) => {
    if (signal.aborted || !URL.canParse(config.url)) return resolve(fail('invalid URL'))
    const url = new URL(config.url)
    const isTls = url.protocol === 'https:'
    const options = {
      method: 'POST',
      agent: false,
      headers: { ...headers, 'content-length': String(body.length), connection: 'close' },
    } as const
    const request = isTls
      ? httpsRequest(url, { ...options, rejectUnauthorized: config.insecureSsl === '0' })
      : httpRequest(url, options)
    const settle = (outcome: Outcome) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      request.destroy()
      resolve(outcome)
    }
    const stop = () => settle(fail('stopped'))
    const timer = setTimeout(() => settle(fail('timed out')), deadlineMs)
    signal.addEventListener('abort', stop, { once: true })
    request.on('error', () => settle(fail('failed to connect to host')))
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', () => settle(fail('connection closed')))
      response.on('data', (chunk: string) => {
        if (text.length < MAX_RESPONSE_BYTES) text += chunk
      })
      response.on('end', () => {
        const code = response.statusCode ?? 0
        const isOk = code >= 200 && code < 300
        settle({
          status: isOk ? 'OK' : `Invalid HTTP Response: ${code}`,
          statusCode: code,
          responseHeaders: toFlat(response.headers),
          responseBody: text.slice(0, MAX_RESPONSE_BYTES),
        })
      })
    })
    request.end(body)
  })
}

function toFlat(headers: NodeJS.Dict<string | string[]>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name, String(value)])
  return Object.fromEntries(entries)
}
