import { OperationError } from '../../lib/errors.ts'
import { parseRepositoryUrl } from '../../sources/repository-url.ts'
import type { GithubSite } from '../github-host.ts'

/** Where a request may go. */
interface Destination {
  url: URL
  /** An IPv6 address without its brackets. */
  hostname: string
  /** It may have an address that is not public. */
  isPrivate: boolean
}

/**
 * The address of `path` at a site's API or website, which begins with the site's own. The host of its website must be
 * one of `gitHosts`; its API is there too, or at `api.` before it. Throws `source.host_not_allowed` and
 * `source.invalid_url`.
 */
export function findDestination(
  gitHosts: readonly string[],
  site: GithubSite,
  base: 'api' | 'web',
  path: string,
): Destination {
  const web = parseRepositoryUrl(`${site.webUrl}/owner`, gitHosts)
  const start = base === 'api' ? checkApi(site, web) : site.webUrl
  if (web.protocol === 'http:' && !isLoopback(web.hostname)) {
    throw notAllowed(site.webUrl, 'credentials would be readable on the way; it must be https')
  }
  const url = new URL(start + path)
  // A name in it must not lead out of it.
  if (!url.href.startsWith(`${start}/`)) throw notAllowed(url.origin, `it is not below ${start}`)
  return { url, hostname: url.hostname.replace(/^\[|\]$/g, ''), isPrivate: web.isPrivate }
}

function checkApi(site: GithubSite, web: { protocol: string; url: string }): string {
  const api = URL.parse(site.apiUrl)
  const { host } = new URL(web.url)
  const isPlain = api !== null && site.apiUrl === api.origin + api.pathname.replace(/\/$/, '')
  if (!isPlain) throw notAllowed(site.apiUrl, 'it is no plain address such as https://HOST/api/v3')
  if (api.protocol !== web.protocol || (api.host !== host && api.host !== `api.${host}`)) {
    throw notAllowed(site.apiUrl, `it does not belong to ${host}`)
  }
  return site.apiUrl
}

function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '::1') return true
  return /^127(\.\d+){3}$/.test(hostname)
}

function notAllowed(address: string, reason: string): OperationError {
  return new OperationError('source.host_not_allowed', `Cannot use "${address}": ${reason}`)
}
