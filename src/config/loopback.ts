import { isIP } from 'node:net'

export function isLocalhost(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost')
}

/** Whether a host of a URL can only be this machine. */
export function isLoopbackHost(host: string): boolean {
  if (isLocalhost(host) || host === '[::1]') return true
  return isIP(host) === 4 && host.startsWith('127.')
}
