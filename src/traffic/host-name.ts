import { domainToASCII } from 'node:url'

/**
 * The host name that a `Host` header asks for, as the route table has it: lower case, punycode, no port, no trailing
 * dot. Null when there is none or it is no name.
 */
export function hostNameOf(hostHeader: string | undefined): string | null {
  if (hostHeader === undefined) return null
  const withoutPort = hostHeader.replace(/:\d*$/, '')
  const name = withoutPort.endsWith('.') ? withoutPort.slice(0, -1) : withoutPort
  if (/^[a-z0-9.-]+$/.test(name)) return name
  return domainToASCII(name) || null
}
