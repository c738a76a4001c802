import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'

/** An answer of the platform itself. `code` is for programs, `message` for people; neither names a project. */
export interface Problem {
  status: number
  code: string
  message: string
  retryAfterSeconds?: number
}

export const NO_ROUTE: Problem = {
  status: 404,
  code: 'traffic.no_route',
  message: 'No app answers to this name here.',
}
export const BAD_REQUEST: Problem = {
  status: 400,
  code: 'traffic.bad_request',
  message: 'This request cannot be understood.',
}
export const APP_UNREACHABLE: Problem = {
  status: 502,
  code: 'traffic.app_unreachable',
  message: 'The app did not answer. It may be restarting.',
  retryAfterSeconds: 5,
}
export const CLIENT_TOO_SLOW: Problem = {
  status: 408,
  code: 'traffic.client_too_slow',
  message: 'The rest of this request did not arrive in time.',
}
export const APP_TIMED_OUT: Problem = {
  status: 504,
  code: 'traffic.app_timed_out',
  message: 'The app took too long to answer.',
}

export function unavailable(reason: 'never_deployed' | 'crashed' | 'starting'): Problem {
  const messages = {
    never_deployed: 'This app has not been deployed yet.',
    crashed: 'This app is not running at the moment.',
    starting: 'This app is starting. Please try again in a moment.',
  }
  return {
    status: 503,
    code: `traffic.${reason}`,
    message: messages[reason],
    retryAfterSeconds: reason === 'starting' ? 2 : 30,
  }
}

/** Answers with a tiny page, or JSON when the client prefers that. Too late for an answer: ends the connection. */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  problem: Problem,
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const { headers, body } = renderProblem(request, problem)
  // A body that nobody will read must not be waited for.
  if (!request.complete) headers['Connection'] = 'close'
  response.writeHead(problem.status, headers)
  response.end(request.method === 'HEAD' ? undefined : body)
}

export function renderProblem(request: IncomingMessage, problem: Problem) {
  const asJson = prefersJson(request.headers.accept)
  const { code, message } = problem
  const body = asJson ? JSON.stringify({ error: { code, message } }) : page(problem)
  const headers: Record<string, string> = {
    'Content-Type': asJson ? 'application/json; charset=utf-8' : 'text/html; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'none'; style-src 'unsafe-inline'",
    'X-Content-Type-Options': 'nosniff',
  }
  if (problem.retryAfterSeconds) headers['Retry-After'] = String(problem.retryAfterSeconds)
  return { headers, body }
}

function page(problem: Problem): string {
  const title = `${problem.status} ${STATUS_CODES[problem.status] ?? ''}`
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1rem}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}}</style>
<h1>${title}</h1>
<p>${problem.message}</p>
</html>
`
}

/** JSON when it is accepted and stands before HTML. Good enough for `Accept` as clients send it. */
function prefersJson(accept: string | undefined): boolean {
  if (accept === undefined) return false
  const json = accept.search(/application\/(?:[\w.+-]+\+)?json/)
  const html = accept.indexOf('text/html')
  return json !== -1 && (html === -1 || json < html)
}
