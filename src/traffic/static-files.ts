import { realpath } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pipeline, type Readable } from 'node:stream'
import { constants, createBrotliCompress, createGzip } from 'node:zlib'

import { send } from '@fastify/send'

import { systemErrorCode } from '../lib/errors.ts'
import { BAD_REQUEST, sendProblem, unavailable, type Problem } from './error-page.ts'
import { requestedPath } from './requested-path.ts'
import type { RouteTarget } from './route-table.ts'

export type StaticTarget = Extract<RouteTarget, { kind: 'static' }>

const NOT_FOUND: Problem = {
  status: 404,
  code: 'traffic.no_file',
  message: 'There is no page at this address.',
}
const METHOD_NOT_ALLOWED: Problem = {
  status: 405,
  code: 'traffic.method_not_allowed',
  message: 'This site can only be read.',
}

/** Answers from a release's directory, and from nothing outside it: GET and HEAD, ranges, validators, compression. */
export async function serveStatic(
  request: IncomingMessage,
  response: ServerResponse,
  target: StaticTarget,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    sendProblem(request, response, METHOD_NOT_ALLOWED)
    return
  }
  const path = requestedPath(request.url ?? '/')
  if (path.kind === 'malformed') {
    sendProblem(request, response, BAD_REQUEST)
    return
  }
  const root = await realPath(target.directory)
  if (root === null) {
    sendProblem(request, response, unavailable('crashed'))
    return
  }
  const site: Site = { root, releaseId: target.releaseId }
  const file = path.kind === 'hidden' ? null : await findFile(site, path.path, request.url ?? '/')
  if (file?.kind === 'redirect') {
    response.writeHead(301, { Location: file.location, 'Content-Length': 0 }).end()
    return
  }
  if (file !== null) {
    await sendFile(site, request, response, file.file, 200)
    return
  }
  const fallback = await findFallback(site, request, target.singlePageApp)
  if (fallback === null) sendProblem(request, response, NOT_FOUND)
  else await sendFile(site, request, response, fallback.file, fallback.status)
}

interface Site {
  /** Without symbolic links. */
  root: string
  releaseId: string
}

/** A regular file of the site: its path from the root, URL-encoded, and what it is. */
interface SiteFile {
  url: string
  type: string
  size: number
  modified: string
}

type Found = { kind: 'file'; file: SiteFile } | { kind: 'redirect'; location: string }

async function findFile(site: Site, path: string, url: string): Promise<Found | null> {
  if (path.endsWith('/')) return await findRegular(site, `${path}index.html`)
  const exact = await lookAt(site, path)
  if (exact === 'directory') {
    if ((await findRegular(site, `${path}/index.html`)) === null) return null
    const query = url.includes('?') ? url.slice(url.indexOf('?')) : ''
    return { kind: 'redirect', location: `${encodeURI(path)}/${query}` }
  }
  if (exact !== null) return { kind: 'file', file: exact }
  return await findRegular(site, `${path}.html`)
}

async function findFallback(site: Site, request: IncomingMessage, singlePageApp: boolean) {
  const wantsPage = request.headers.accept?.includes('text/html') ?? true
  if (singlePageApp && wantsPage) {
    const index = await findRegular(site, '/index.html')
    if (index !== null) return { file: index.file, status: 200 }
  }
  const own = await findRegular(site, '/404.html')
  return own === null ? null : { file: own.file, status: 404 }
}

async function findRegular(site: Site, path: string) {
  const found = await lookAt(site, path)
  return found === null || found === 'directory' ? null : { kind: 'file' as const, file: found }
}

/** The real path decides, so that a symbolic link cannot lead out of the release. */
async function lookAt(site: Site, path: string): Promise<SiteFile | 'directory' | null> {
  const real = await realPath(join(site.root, path))
  if (real === null) return null
  if (real !== site.root && !real.startsWith(`${site.root}/`)) return null
  const url = path.split('/').map(encodeURIComponent).join('/')
  const facts = await send(asRequest('HEAD', {}), url, sendOptions(site))
  if (facts.type === 'directory') return 'directory'
  if (facts.type !== 'file' || !facts.metadata.stat.isFile()) return null
  return {
    url,
    type: facts.headers['Content-Type'] ?? 'application/octet-stream',
    size: facts.metadata.stat.size,
    modified: facts.headers['Last-Modified'] ?? '',
  }
}

async function sendFile(
  site: Site,
  request: IncomingMessage,
  response: ServerResponse,
  file: SiteFile,
  status: number,
): Promise<void> {
  const compressible = COMPRESSIBLE.test(file.type)
  const wanted =
    compressible && request.headers.range === undefined ? acceptedEncodings(request) : []
  const stored = await findStoredEncoding(site, file, wanted)
  const result = await send(
    asRequest(request.method ?? 'GET', validators(site, request, file, status)),
    stored?.url ?? file.url,
    sendOptions(site),
  )
  const headers: Record<string, string | number> = { ...result.headers }
  let body: Readable = result.stream
  if (result.type === 'file') {
    headers['Cache-Control'] = 'public, max-age=0, must-revalidate'
    headers['X-Content-Type-Options'] = 'nosniff'
    if (result.headers['ETag']) headers['ETag'] = ofRelease(site, result.headers['ETag'])
    if (compressible) headers['Vary'] = 'Accept-Encoding'
    if (result.statusCode !== 304) headers['Content-Type'] = file.type
    const encoding = stored?.encoding ?? encodingOnTheFly(file, wanted)
    if (encoding !== undefined && result.statusCode === 200) {
      headers['Content-Encoding'] = encoding
      delete headers['Accept-Ranges']
      if (stored === null) {
        delete headers['Content-Length']
        if (request.method === 'GET') body = compress(body, encoding)
      }
    }
  }
  response.writeHead(result.statusCode === 200 ? status : result.statusCode, headers)
  if (request.method === 'HEAD') {
    body.destroy()
    response.end()
    return
  }
  await new Promise<void>((resolve) => pipeline(body, response, () => resolve()))
}

function sendOptions(site: Site) {
  return { root: site.root, dotfiles: 'allow', index: false, cacheControl: false } as const
}

/** `send` reads nothing of a request but its method and headers; ours are not always the client's. */
function asRequest(method: string, headers: Record<string, string>): Readable {
  return { method, headers } as unknown as Readable
}

/**
 * The conditions of the request as `send` is to judge them. Its ETag is size and time, which two releases may share, so
 * ours carries the release too. A time counts only when it is exactly the file's: after a rollback it is an older one.
 */
function validators(site: Site, request: IncomingMessage, file: SiteFile, status: number) {
  const headers: Record<string, string> = {}
  if (status !== 200) return headers
  for (const name of ['if-none-match', 'if-match', 'if-range', 'range'] as const) {
    const value = request.headers[name]
    if (value !== undefined) headers[name] = String(value).replaceAll(`~${site.releaseId}"`, '"')
  }
  if (request.headers['if-modified-since'] === file.modified) {
    headers['if-modified-since'] = file.modified
  }
  return headers
}

function ofRelease(site: Site, etag: string): string {
  return etag.replace(/"$/, `~${site.releaseId}"`)
}

type Encoding = 'br' | 'gzip'

const COMPRESSIBLE =
  /^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml|javascript|wasm)|image\/(?:svg\+xml|bmp|x-icon)|font\/(?:ttf|otf))/
/** Smaller is not worth it; larger should be compressed once, by the build. */
const COMPRESS_FROM_BYTES = 1024
const COMPRESS_UP_TO_BYTES = 2 * 1024 * 1024

function acceptedEncodings(request: IncomingMessage): Encoding[] {
  const header = request.headers['accept-encoding']
  const offered = (Array.isArray(header) ? header.join(',') : (header ?? '')).toLowerCase()
  const accepts = (name: string) =>
    offered.split(',').some((part) => {
      const [encoding, ...parameters] = part.split(';').map((text) => text.trim())
      return encoding === name && !parameters.some((text) => /^q=0(?:\.0*)?$/.test(text))
    })
  return (['br', 'gzip'] as const).filter(accepts)
}

async function findStoredEncoding(site: Site, file: SiteFile, wanted: readonly Encoding[]) {
  for (const encoding of wanted) {
    const suffix = encoding === 'br' ? '.br' : '.gz'
    const found = await lookAt(site, `${decodeURIComponent(file.url)}${suffix}`)
    if (found !== null && found !== 'directory') return { encoding, url: found.url }
  }
  return null
}

function encodingOnTheFly(file: SiteFile, wanted: readonly Encoding[]): Encoding | undefined {
  if (file.size < COMPRESS_FROM_BYTES || file.size > COMPRESS_UP_TO_BYTES) return undefined
  return wanted[0]
}

function compress(body: Readable, encoding: Encoding): Readable {
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }
  const compressor = encoding === 'br' ? createBrotliCompress(quality) : createGzip()
  return pipeline(body, compressor, () => {})
}

async function realPath(path: string): Promise<string | null> {
  try {
    return await realpath(path)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === undefined || !MISSING.has(code)) throw error
    return null
  }
}

const MISSING: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'EACCES',
])
