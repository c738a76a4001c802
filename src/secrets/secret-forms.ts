/** Shorter ones would tear ordinary words apart, and can be guessed anyway. */
export const SHORTEST_FORM = 6

/** Columns at which `base64` and `openssl base64` break their lines. */
const BASE64_COLUMNS = [76, 64]

/** Lines of a multi-line value (a private key) that are long enough to be told from other text. */
const SHORTEST_LINE = 16

/** Every way in which programs print this value: as it is, and in the encodings that it meets on its way into a log. */
export function formsOf(value: string): Set<string> {
  const forms = new Set<string>()
  if (value.length < SHORTEST_FORM) return forms
  const text = value.toWellFormed()
  const candidates = [
    value,
    text.trim(),
    ...linesOf(text),
    ...jsonForms(text),
    ...urlForms(text),
    ...base64Forms(text),
    ...hexForms(text),
  ]
  for (const form of candidates) if (form.length >= SHORTEST_FORM) forms.add(form)
  return forms
}

/** A log that puts a time before each line tears the whole apart. */
function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/)
  if (lines.length === 1) return []
  return lines.map((line) => line.trim()).filter((line) => line.length >= SHORTEST_LINE)
}

/** Also with `/` and other alphabets escaped as some encoders do, and as JSON inside of JSON. */
function jsonForms(text: string): string[] {
  const once = JSON.stringify(text).slice(1, -1)
  const ascii = once.replaceAll(/[\u0080-\uffff]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
  const forms = [once, ascii, once.replaceAll('/', '\\/')]
  return [...forms, ...forms.map((form) => JSON.stringify(form).slice(1, -1))]
}

function urlForms(text: string): string[] {
  const usual = encodeURIComponent(text)
  const strict = usual.replaceAll(/[!'()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  })
  const forms = [usual, strict, encodeURI(text), strict.replaceAll('%2F', '/')]
  forms.push(...forms.map((form) => form.replaceAll('%20', '+')))
  return [...forms, ...forms.map((form) => form.replaceAll(/%[0-9A-F]{2}/g, lowerCase))]
}

function lowerCase(text: string): string {
  return text.toLowerCase()
}

/**
 * Three bytes become four characters, so a value inside of a longer encoded text ("user:token") looks different for
 * each of the three places where it can begin. What depends on its neighbours is cut off at both ends.
 */
function base64Forms(text: string): string[] {
  const value = Buffer.from(text, 'utf8')
  const forms = [0, 1, 2].flatMap((before) => base64At(value, before))
  for (const columns of BASE64_COLUMNS) {
    const encoded = value.toString('base64')
    if (encoded.length <= columns) continue
    for (let at = 0; at < encoded.length; at += columns) forms.push(encoded.slice(at, at + columns))
  }
  return [...forms, ...forms.map((form) => form.replaceAll('+', '-').replaceAll('/', '_'))]
}

function base64At(value: Buffer, before: number): string[] {
  const padded = Buffer.concat([Buffer.alloc(before), value])
  const encoded = padded.toString('base64')
  const start = [0, 2, 3][before] ?? 0
  const certain = Math.floor((padded.length * 8) / 6)
  const whole = encoded.replace(/=+$/, '')
  return [encoded.slice(start, certain), whole.slice(start), encoded.slice(start)]
}

function hexForms(text: string): string[] {
  const hex = Buffer.from(text, 'utf8').toString('hex')
  return [hex, hex.toUpperCase()]
}
