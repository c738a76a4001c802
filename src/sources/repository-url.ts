import { OperationError } from '../lib/errors.ts'

/** The address of a repository that may be contacted. */
export interface RepositoryUrl {
  /** What git is given and people are shown: host in lower case, no trailing slash. */
  url: string
  /** Equal for two spellings of one repository: also without `.git`. */
  identity: string
  protocol: 'https:' | 'http:'
  /** Lower case ASCII; an IPv6 address without its brackets. */
  hostname: string
  port: number
  /** Marked `@private` by the operator: it may resolve to a non-public address and speak http. */
  isPrivate: boolean
}

const MAX_LENGTH = 2048
const SHAPE = /^(https?):\/\/([^/?#]*)(\/[^?#]*)?$/i
/** What a path may be made of; an encoded character is judged by `ENCODED_TRAP`. */
const PATH = /^(?:\/(?:[\w.~!$&'()*+,;=:@-]|%[0-9a-f]{2})+)+$/i
/** Control characters, slashes, dots and percent signs must not hide in an encoding. */
const ENCODED_TRAP = /%(?:[01][0-9a-f]|7f|2e|2f|5c|25)/i

/**
 * Checks the address of a repository against the hosts that the operator allows (`host[:port][@private]`). Throws
 * `source.invalid_url` and `source.host_not_allowed`, saying what to use instead; never with a credential in the message.
 */
export function parseRepositoryUrl(text: string, gitHosts: readonly string[]): RepositoryUrl {
  refuseControlCharacters(text)
  refuseOtherProtocols(text)
  const match = SHAPE.exec(text)
  if (!match || !URL.canParse(text)) {
    throw invalid('it is no address such as https://github.com/owner/repository')
  }
  const [, , authority = '', path = ''] = match
  if (authority.includes('@')) {
    throw invalid('it contains a user name or a credential; give the address without them')
  }
  const parsed = new URL(text)
  const rawHost = authority.replace(/:[0-9]*$/, '')
  // The parser turns look-alike letters and odd spellings of addresses into others: only what stays itself is meant.
  if (rawHost.toLowerCase() !== parsed.hostname || !isAscii(rawHost)) {
    throw notAllowed(rawHost, `it stands for "${parsed.hostname}"; write that if you mean it`)
  }
  const trimmed = path.replace(/\/+$/, '')
  if (!PATH.test(trimmed) || ENCODED_TRAP.test(trimmed) || /\/\.{1,2}(\/|$)/.test(trimmed)) {
    throw invalid('its path is no path of a repository such as /owner/repository')
  }
  const protocol = parsed.protocol as RepositoryUrl['protocol']
  const isPrivate = findHost(parsed, gitHosts)
  if (protocol === 'http:' && !isPrivate) {
    throw invalid('http is open to everyone on the way; use https://')
  }
  const origin = `${protocol}//${parsed.host}`
  return {
    url: origin + trimmed,
    identity: origin + trimmed.replace(/\.git$/i, ''),
    protocol,
    hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort(protocol) : Number(parsed.port),
    isPrivate,
  }
}

/** Whether the entry of the list that names this host and port is private; throws when there is none. */
function findHost(url: URL, gitHosts: readonly string[]): boolean {
  const entry = gitHosts.find((entry) => {
    const name = entry.replace(/@private$/, '').toLowerCase()
    return name === url.host || name === `${url.host}:${defaultPort(url.protocol)}`
  })
  if (entry === undefined) {
    throw notAllowed(
      url.host,
      `the allowed hosts are ${gitHosts.join(', ') || 'none'}; the operator extends them with NANOSCALE_GIT_HOSTS`,
    )
  }
  return entry.endsWith('@private')
}

function refuseControlCharacters(text: string): void {
  if (text.length > MAX_LENGTH) throw invalid(`it is longer than ${MAX_LENGTH} characters`)
  if (/[\p{Cc}\p{Cf}\s\\]/u.test(text)) {
    throw invalid('it contains spaces, control characters or backslashes')
  }
  if (/%(?:0[0-9a-f]|1[0-9a-f]|7f)/i.test(text)) {
    throw invalid('it contains an encoded control character')
  }
}

function refuseOtherProtocols(text: string): void {
  const other = /^([a-z][a-z0-9+.-]*):(?:\/\/|:)/i.exec(text)?.[1]?.toLowerCase()
  if (other !== undefined && !['http', 'https'].includes(other)) {
    throw invalid(`${other} is not supported; use the repository's https:// address`)
  }
  if (/^[^/]+@[^/]+:/.test(text) && !/^https?:/i.test(text)) {
    throw invalid('SSH addresses are not supported; use https://host/owner/repository')
  }
  if (/[?#]/.test(text)) throw invalid('it has a query or a fragment; give the plain address')
}

function invalid(reason: string): OperationError {
  return new OperationError('source.invalid_url', `Cannot use this repository URL: ${reason}`, {
    details: { repo_url: [reason] },
  })
}

function notAllowed(host: string, reason: string): OperationError {
  const sentence = `Cannot use the Git host "${host}": ${reason}`
  return new OperationError('source.host_not_allowed', sentence, {
    details: { repo_url: [reason] },
  })
}

function isAscii(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text)
}

function defaultPort(protocol: string): number {
  return protocol === 'http:' ? 80 : 443
}
