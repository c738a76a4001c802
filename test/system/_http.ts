import { type Agent, type IncomingHttpHeaders, request as httpRequest } from 'node:http'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
}

interface RequestOptions {
  /** Either a Unix socket or a port of loopback. */
  socketPath?: string
  port?: number
  path: string
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
  agent?: Agent | false
  timeoutMs?: number
}

/** One request to its end, within a deadline that covers all of it. */
export function sendRequest(options: RequestOptions): Promise<Answer> {
  const timeoutMs = options.timeoutMs ?? 15_000
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      ...(options.socketPath === undefined
        ? { host: '127.0.0.1', port: options.port }
        : { socketPath: options.socketPath }),
      path: options.path,
      method: options.method ?? 'GET',
      headers: options.headers ?? {},
      agent: options.agent ?? false,
    })
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer to ${options.path} within ${timeoutMs} ms`)),
      timeoutMs,
    )
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(error)
    }
    request.once('error', fail)
    request.once('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', fail)
      response.once('end', () => {
        clearTimeout(timer)
        const body = Buffer.concat(chunks)
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body,
          text: body.toString('utf8'),
        })
      })
    })
    request.end(options.body)
  })
}
