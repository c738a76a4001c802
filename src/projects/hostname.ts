import { domainToASCII } from 'node:url'

import { OperationError } from '../lib/errors.ts'

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/

/** Names that belong to the platform: what is below them is given out by project names alone. */
export interface PlatformNames {
  baseDomain: string
  publicBaseUrl: string
}

/**
 * A host name as the records and the route table have it: lower case, punycode, no trailing dot. Throws
 * `domain.invalid` for what is no host name, and for the platform's own.
 */
export function parseHostname(names: PlatformNames, input: string): string {
  const hostname = normalized(input)
  const reason = hostname === null ? 'it is not a host name' : reasonAgainst(names, hostname)
  if (hostname !== null && reason === null) return hostname
  const shown = input.slice(0, 300)
  throw new OperationError('domain.invalid', `Cannot use domain "${shown}": ${reason ?? ''}`, {
    details: { hostname: [reason ?? ''] },
  })
}

function normalized(input: string): string | null {
  if (/[\s/:@?#%[\]\\]/.test(input)) return null
  const ascii = domainToASCII(input.trim()).toLowerCase().replace(/\.$/, '')
  if (ascii === '' || ascii.length > 253) return null
  return ascii.split('.').every((label) => LABEL.test(label)) ? ascii : null
}

function reasonAgainst(names: PlatformNames, hostname: string): string | null {
  const labels = hostname.split('.')
  if (labels.length < 2) return 'it needs at least two labels, as in example.com'
  // An address, or what browsers take for one, is never a name.
  if (/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '')) return 'it is an address'
  if (isAtOrBelow(hostname, 'localhost')) return 'names below localhost are the machine itself'
  const base = names.baseDomain.toLowerCase()
  if (isAtOrBelow(hostname, base)) {
    return `names at or below ${base} come from the names of projects`
  }
  if (hostname === hostOf(names.publicBaseUrl)) return 'NanoScale itself answers there'
  return null
}

function isAtOrBelow(hostname: string, parent: string): boolean {
  return hostname === parent || hostname.endsWith(`.${parent}`)
}

function hostOf(url: string): string | null {
  return URL.canParse(url) ? new URL(url).hostname.toLowerCase() : null
}
