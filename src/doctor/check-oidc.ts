import type { Config } from '../config/config.ts'
import { messageOf } from '../lib/errors.ts'
import { ok, warning, type Finding } from './finding.ts'

const DEADLINE_MS = 5000
const MAX_METADATA_LENGTH = 1_048_576

/** Whether the provider of single sign-on answers, and is the one that is meant. Nothing when none is configured. */
export async function checkOidc(
  config: Pick<Config, 'oidcIssuer' | 'publicBaseUrl'>,
  signal?: AbortSignal,
): Promise<Finding[]> {
  const { oidcIssuer, publicBaseUrl } = config
  if (oidcIssuer === null) return []
  const redirectUri = `${publicBaseUrl}/api/auth/callback/oidc`
  const told = await readIssuer(oidcIssuer, signal)
  if ('problem' in told) {
    const problem = `${oidcIssuer} cannot be used for single sign-on: ${told.problem}`
    const fix = 'Check NANOSCALE_OIDC_ISSUER, and that this machine reaches it by https'
    return [warning('oidc', problem, fix)]
  }
  if (new URL(told.issuer).href !== new URL(oidcIssuer).href) {
    const problem = `The OpenID Connect provider at ${oidcIssuer} calls itself ${told.issuer}`
    return [warning('oidc', problem, `Set NANOSCALE_OIDC_ISSUER to ${told.issuer}`)]
  }
  return [ok('oidc', `${oidcIssuer} answers; the redirect URI to enter there is ${redirectUri}`)]
}

async function readIssuer(
  issuer: string,
  signal?: AbortSignal,
): Promise<{ issuer: string } | { problem: string }> {
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const signals = [AbortSignal.timeout(DEADLINE_MS), ...(signal === undefined ? [] : [signal])]
  try {
    const response = await fetch(address, {
      redirect: 'manual',
      signal: AbortSignal.any(signals),
    })
    if (response.status !== 200) {
      await response.body?.cancel()
      return { problem: `it answers with status ${response.status}` }
    }
    const metadata: unknown = JSON.parse(await readLimited(response))
    const told = typeof metadata === 'object' && metadata !== null ? metadata : {}
    const isTold = 'issuer' in told && typeof told.issuer === 'string' && URL.canParse(told.issuer)
    return isTold ? { issuer: String(told.issuer) } : { problem: 'it does not tell its issuer' }
  } catch (error) {
    if (signal?.aborted === true) throw error
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return { problem: messageOf(cause) }
  }
}

async function readLimited(response: Response): Promise<string> {
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (text.length > MAX_METADATA_LENGTH) throw new Error('its metadata have no end')
  }
  return text
}
