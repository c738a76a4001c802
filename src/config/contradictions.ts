import { CONFIG_KEYS, type ConfigField } from './config-keys.ts'
import type { Config } from './config.ts'
import { checkGithub } from './github-contradictions.ts'
import { isLocalhost, isLoopbackHost } from './loopback.ts'

interface Contradiction {
  field: ConfigField
  problem: string
}

/** Settings that are valid by themselves and not together. */
export function findContradictions(config: Omit<Config, 'ignoredNames'>): Contradiction[] {
  return [
    ...checkPublicUrl(config),
    ...checkTrafficUrl(config),
    ...checkPorts(config),
    ...checkPairs(config),
    ...checkGithub(config),
  ]
}

type Field = keyof Omit<Config, 'ignoredNames'>

/** The first of each pair is of no use without the second. */
const PAIRS: readonly (readonly [Field, Field])[] = [
  ['smtpUrl', 'mailFrom'],
  ['mailFrom', 'smtpUrl'],
  ['oidcIssuer', 'oidcClientId'],
  ['oidcClientId', 'oidcIssuer'],
  ['oidcClientSecret', 'oidcIssuer'],
  ['clerkJwksUrl', 'clerkIssuer'],
  ['clerkJwtKey', 'clerkIssuer'],
]

function checkPairs(config: Omit<Config, 'ignoredNames'>): Contradiction[] {
  return PAIRS.filter(([given, needed]) => config[given] !== null && config[needed] === null).map(
    ([given, needed]) => ({
      field: needed,
      problem: `is missing: ${CONFIG_KEYS[given].env} is set and needs it`,
    }),
  )
}

function checkPublicUrl({ publicBaseUrl, baseDomain }: PublicAddresses): Contradiction[] {
  const url = new URL(publicBaseUrl)
  const field = 'publicBaseUrl'
  const found: Contradiction[] = []
  if (url.protocol !== 'https:' && !isLoopbackHost(url.hostname)) {
    found.push({
      field,
      problem: 'must be https: outside loopback sessions and tokens would be readable',
    })
  }
  if (shareCookies(url.hostname, baseDomain) && !isLocalhost(url.hostname)) {
    found.push({
      field,
      problem:
        `is at, above or below NANOSCALE_BASE_DOMAIN (${baseDomain}): apps could read and set its cookies. ` +
        'Give one of the two a domain of its own',
    })
  }
  return found
}

type PublicAddresses = Pick<Config, 'publicBaseUrl' | 'baseDomain'>

function shareCookies(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`) || domain.endsWith(`.${host}`)
}

function checkTrafficUrl(config: Pick<Config, 'trafficUrl' | 'baseDomain'>): Contradiction[] {
  const domain = new URL(config.trafficUrl.replace('*', 'any')).hostname.slice('any.'.length)
  if (domain === config.baseDomain) return []
  const problem = `is about *.${domain}, but apps are at *.${config.baseDomain}: set NANOSCALE_BASE_DOMAIN to ${domain}`
  return [{ field: 'trafficUrl', problem }]
}

type Listeners = Pick<Config, 'bind' | 'port' | 'trafficBind' | 'trafficPort'>

function checkPorts({ bind, port, trafficBind, trafficPort }: Listeners): Contradiction[] {
  const overlap = bind === trafficBind || isAnyAddress(bind) || isAnyAddress(trafficBind)
  if (port !== trafficPort || !overlap) return []
  return [
    { field: 'trafficPort', problem: `is ${port}, which is the port of the API (NANOSCALE_PORT)` },
  ]
}

function isAnyAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
