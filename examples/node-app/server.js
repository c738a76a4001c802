import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'

const page = await readFile(new URL('dist/index.html', import.meta.url))
/** Open event streams. */
const streams = new Set()

const server = createServer((request, response) => {
  const path = new URL(request.url, 'http://host').pathname
  if (path === '/healthz') return answer(response, 200, 'text/plain', 'ok\n')
  if (path === '/events') return streamTime(response)
  if (path === '/') return answer(response, 200, 'text/html; charset=utf-8', page)
  answer(response, 404, 'text/plain', 'Not found\n')
})

function answer(response, status, type, body) {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-cache' })
  response.end(body)
}

/** Server-sent events: the time, each second. */
function streamTime(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  const send = () => response.write(`data: ${new Date().toISOString()}\n\n`)
  send()
  const timer = setInterval(send, 1000)
  streams.add(response)
  response.on('close', () => {
    clearInterval(timer)
    streams.delete(response)
  })
}

// A new version is taking over: finish what is being answered, then end.
process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  for (const response of streams) response.end()
  server.closeIdleConnections()
})

const port = Number(process.env.PORT ?? 3000)
const host = process.env.HOST ?? '127.0.0.1'
server.listen(port, host, () => console.log(`Listening on http://${host}:${port}`))
