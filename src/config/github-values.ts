import { createPrivateKey } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'

import { systemErrorCode } from '../lib/errors.ts'
import { Secret } from '../lib/secret.ts'
import type { Parse, Parsed } from './config-values.ts'

/** One key of 16,384 bits is 13 KB as PEM. */
const MAX_KEY_BYTES = 65_536

/** Line breaks may be written as `\\n`, since environment files seldom hold real ones. Whether it is a key is checked later. */
export const privateKeyPem: Parse<Secret> = (text) =>
  text.startsWith('-----BEGIN ')
    ? { value: new Secret(text.replaceAll('\\n', '\n')) }
    : { problem: 'must be an RSA private key as PEM, as GitHub gives it' }

/** The keys of a file; `problem` continues the name of the setting. */
export function readKeyFile(path: string): Parsed<Secret[]> {
  try {
    const file = statSync(path)
    if (!file.isFile()) return { problem: 'is no file' }
    if (file.size > MAX_KEY_BYTES) return { problem: 'is a file that is too large for a key' }
    const keys = splitKeys(readFileSync(path, 'utf8'))
    if (keys.length > 0 && keys.every(isRsaKey)) return { value: keys }
    return { problem: 'is a file without an RSA private key as PEM, as GitHub gives it' }
  } catch (error) {
    const reason = systemErrorCode(error) ?? 'unknown error'
    return { problem: `is a file that cannot be read (${reason})` }
  }
}

/** While keys are rotated there are several, one after the other. */
export function splitKeys(text: string): Secret[] {
  const blocks = text.match(/-----BEGIN [^-]*-----[^-]*-----END [^-]*-----/g) ?? []
  return blocks.map((pem) => new Secret(`${pem}\n`))
}

/** The reason why it is none may quote it, so it is not told. */
export function isRsaKey(pem: Secret): boolean {
  try {
    return createPrivateKey(pem.reveal()).asymmetricKeyType === 'rsa'
  } catch {
    return false
  }
}

/** Where an API is: it may have a path, and has no slash at its end. */
export const apiUrl: Parse<string> = (text) => {
  const url = URL.parse(text)
  const isPlain = url !== null && url.username + url.password + url.search + url.hash === ''
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    return { problem: 'must be an address such as https://api.github.com or https://HOST/api/v3' }
  }
  return { value: url.origin + url.pathname.replace(/\/+$/, '') }
}

/** What GitHub numbers: exact in JSON. */
export const exactId: Parse<number> = (text) => {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN
  return Number.isSafeInteger(value) && value > 0
    ? { value }
    : { problem: 'must be the number that GitHub shows as App ID' }
}
