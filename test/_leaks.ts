/** Looks for credentials in what is kept and printed, however they are written down there. */

export interface Leak {
  credential: string
  encoding: string
  place: string
}

/** Every way in which `secret` may stand in a file. */
function encodingsOf(secret: string): [encoding: string, needle: string][] {
  const bytes = Buffer.from(secret)
  const forms: [string, string][] = [
    ['plain', secret],
    ['hex', bytes.toString('hex')],
    ['HEX', bytes.toString('hex').toUpperCase()],
    ['URL', encodeURIComponent(secret)],
    ['form', new URLSearchParams({ s: secret }).toString().slice(2)],
    ['JSON', JSON.stringify(secret).slice(1, -1)],
    ['JSON in JSON', JSON.stringify(JSON.stringify(secret)).slice(3, -3)],
    ...base64Forms(bytes),
  ]
  return forms.filter(([, needle], at) => forms.findIndex(([, other]) => other === needle) === at)
}

/** Base64 of a text that has the secret somewhere in it: what does not depend on its neighbours. */
function base64Forms(bytes: Buffer): [string, string][] {
  return [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    const middle = text.replace(/=+$/, '').slice(before === 0 ? 0 : before + 1, -1)
    const forURLs = middle.replaceAll('+', '-').replaceAll('/', '_')
    return [
      [`base64 at ${before}`, middle],
      [`base64url at ${before}`, forURLs],
    ] as [string, string][]
  })
}

/** Where any of the credentials (by name) is found in any of the places (by name). */
export function findLeaks(
  credentials: ReadonlyMap<string, string>,
  places: ReadonlyMap<string, Buffer>,
): Leak[] {
  const leaks: Leak[] = []
  for (const [credential, secret] of credentials) {
    if (secret.length < 8) throw new Error(`${credential} is too short to be looked for`)
    for (const [encoding, needle] of encodingsOf(secret)) {
      for (const [place, content] of places) {
        if (content.includes(needle)) leaks.push({ credential, encoding, place })
      }
    }
  }
  return leaks
}
