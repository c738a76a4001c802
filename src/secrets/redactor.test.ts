import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'

import { array, assert as assertProperty, constantFrom, nat, property, tuple } from 'fast-check'

import { createRedactor } from './redactor.ts'
import { Secret } from './secret.ts'

const TOKEN = 'ghs_16C7e42F292c6912E7710c838347Ae178B4a'

function redactorOf(...values: string[]) {
  const redactor = createRedactor()
  for (const value of values) redactor.add(value)
  return redactor
}

describe('redact()', () => {
  it('G-18 removes a token in every form that a build log may print it in', () => {
    const long = `ghs_${'A1b2C3d4E5'.repeat(40)}.with/+odd "chars" é`
    for (const value of [TOKEN, long]) {
      const redactor = redactorOf(value)
      const printed = [
        value,
        `https://x-access-token:${value}@github.com/a/b.git`,
        Buffer.from(value).toString('base64'),
        Buffer.from(value).toString('base64url'),
        Buffer.from(`x-access-token:${value}`).toString('base64'),
        Buffer.from(`u:${value}:trailer`).toString('base64'),
        Buffer.from(`us:${value}\n`).toString('base64'),
        encodeURIComponent(value),
        encodeURIComponent(value).replaceAll(/%../g, (code) => code.toLowerCase()),
        new URLSearchParams({ token: value }).toString(),
        JSON.stringify({ token: value }),
        JSON.stringify({ log: JSON.stringify({ token: value }) }),
        Buffer.from(value).toString('hex'),
      ]
      for (const line of printed) {
        const redacted = redactor.redact(`before ${line} after`)
        assert.match(redacted, /^before .*\[secret\].* after$/s)
        assert.ok(!/[0-9a-zA-Z+/_-]{25}/.test(redacted.replaceAll('access-token', '')), redacted)
      }
    }
  })

  it('removes the lines of a private key, also when each has a prefix or base64 breaks them', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    const redactor = redactorOf(pem)
    const wrapped =
      Buffer.from(pem)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    for (const text of [
      pem.replaceAll('\n', '\r\n'),
      pem
        .split('\n')
        .map((line) => `12:00:01 ${line}`)
        .join('\n'),
      wrapped.map((line) => `> ${line}`).join('\n'),
    ]) {
      assert.doesNotMatch(redactor.redact(text), /[A-Za-z0-9+/]{20}/)
    }
  })

  it('leaves short values and other text alone', () => {
    const redactor = redactorOf('12345', '')
    assert.equal(redactor.redact('port 12345'), 'port 12345')
    redactor.add(new Secret('sesame-open'))
    assert.equal(
      redactor.redact('say sesame-open twice: sesame-open'),
      'say [secret] twice: [secret]',
    )
    assert.equal(redactor.redact('say sesame-opex'), 'say sesame-opex')
  })

  it('leaves what was removed from it, and finds it again when it is added', () => {
    const redactor = redactorOf(TOKEN, 'sesame-open')
    assert.equal(redactor.redact(TOKEN), '[secret]')
    redactor.remove(TOKEN)
    assert.equal(redactor.redact(`${TOKEN} sesame-open`), `${TOKEN} [secret]`)
    redactor.add(new Secret(TOKEN))
    assert.equal(redactor.redact(TOKEN), '[secret]')
  })

  it('removes overlapping secrets whole, and the longer of two that begin alike', () => {
    assert.equal(redactorOf('abcdefg', 'efghijk').redact('-abcdefghijk-'), '-[secret]-')
    assert.equal(redactorOf('abcdef', 'abcdefgh').redact('abcdefgh abcdef'), '[secret] [secret]')
    assert.equal(redactorOf('$(a|b)*[c]').redact('x$(a|b)*[c]y'), 'x[secret]y')
  })

  it('is fast with a thousand values', () => {
    const values = Array.from({ length: 1000 }, (_, index) => `value-${index}-${'x'.repeat(40)}`)
    const redactor = redactorOf(...values)
    redactor.redact('warm')
    const text = 'A line of a build log of usual length, with nothing in it to hide.\n'.repeat(
      16_000,
    )
    const started = performance.now()
    assert.equal(redactor.redact(text), text)
    const stream = redactor.stream()
    for (let at = 0; at < text.length; at += 65_536) stream.write(text.slice(at, at + 65_536))
    // Two passes over 1 MB take about 50 ms here; the limit only refuses another order of growth.
    assert.ok(performance.now() - started < 3000)
  })
})

describe('stream()', () => {
  it('says the same as redact() however the text is cut', () => {
    const letter = constantFrom('a', 'b', 'é', '"')
    const word = (from: number, to: number) =>
      array(letter, { minLength: from, maxLength: to }).map((letters) => letters.join(''))
    const same = property(
      array(word(6, 9), { minLength: 1, maxLength: 4 }),
      array(tuple(word(0, 12), nat({ max: 3 }), nat({ max: 6 })), { maxLength: 12 }),
      (secrets, pieces) => {
        const redactor = redactorOf(...secrets)
        const chunks = pieces.flatMap(([noise, which, cut]) => {
          const secret = secrets[which] ?? ''
          return [noise + secret.slice(0, cut), secret.slice(cut)]
        })
        const stream = redactor.stream()
        const streamed = chunks.map((chunk) => stream.write(chunk)).join('') + stream.end()
        assert.equal(streamed, redactor.redact(chunks.join('')))
        for (const secret of secrets) assert.ok(!streamed.includes(secret))
      },
    )
    assertProperty(same, { numRuns: 2000 })
  })

  it('finds a token that comes one character at a time', () => {
    const stream = redactorOf(TOKEN).stream()
    const text = `clone https://x:${TOKEN}@github.com\ndone`
    const out =
      text
        .split('')
        .map((character) => stream.write(character))
        .join('') + stream.end()
    assert.equal(out, 'clone https://x:[secret]@github.com\ndone')
  })

  it('keeps back only what may begin a secret', () => {
    const stream = redactorOf(TOKEN).stream()
    assert.equal(stream.write('progress 10 %\n'), 'progress 10 %\n')
    assert.equal(stream.write('token ghs_16'), 'token ')
    assert.equal(stream.write('x'), 'ghs_16x')
    assert.equal(stream.write('end gh'), 'end ')
    assert.equal(stream.end(), 'gh')
  })

  it('knows a secret that is added while it runs', () => {
    const redactor = createRedactor()
    const stream = redactor.stream()
    stream.write('first ')
    redactor.add('hidden-value')
    assert.equal(stream.write('hidden-value '), '[secret] ')
  })
})
