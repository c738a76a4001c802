import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import { parseRepositoryUrl } from './repository-url.ts'

const HOSTS = [
  'github.com',
  'gitlab.example.com:8443',
  'git.internal@private',
  '127.0.0.1:9000@private',
]
const parse = (url: string) => parseRepositoryUrl(url, HOSTS)

function assertRefused(url: string, pattern?: RegExp): void {
  assert.throws(
    () => parse(url),
    (error) => {
      assert.ok(isOperationError(error), url)
      assert.match(error.code, /^source\.(invalid_url|host_not_allowed)$/)
      if (pattern) assert.match(error.message, pattern)
      return true
    },
    url,
  )
}

describe('parseRepositoryUrl()', () => {
  it('normalises what stands for the same repository', () => {
    const parsed = parse('https://GitHub.com/Owner/Repo.git/')
    assert.deepEqual(parsed, {
      url: 'https://github.com/Owner/Repo.git',
      identity: 'https://github.com/Owner/Repo',
      protocol: 'https:',
      hostname: 'github.com',
      port: 443,
      isPrivate: false,
    })
    assert.equal(parse('https://github.com:443/o/r').identity, 'https://github.com/o/r')
    assert.equal(parse('https://gitlab.example.com:8443/g/s/r').port, 8443)
  })

  it('allows http and other ports only as the list says', () => {
    assert.equal(parse('http://127.0.0.1:9000/shop.git').isPrivate, true)
    assert.equal(parse('http://git.internal/r').protocol, 'http:')
    assertRefused('http://github.com/o/r', /use https/)
    assertRefused('https://github.com:8443/o/r')
    assertRefused('https://gitlab.example.com/o/r')
    assertRefused('http://127.0.0.1:9001/shop.git')
  })

  it('S-01 refuses hosts that are not on the list, whatever their spelling', () => {
    for (const host of [
      '169.254.169.254',
      '[::ffff:169.254.169.254]',
      '0x7f.1:9000',
      '2130706433:9000',
      '127.0.0.1.nip.io',
      'localhost.',
      'github.com.',
    ]) {
      assertRefused(`http://${host}/o/r`)
      assertRefused(`https://${host}/o/r`)
    }
  })

  it('S-04 refuses hosts that only look allowed', () => {
    assertRefused('https://github.com@evil.example/o/r')
    assertRefused('https://github.com.evil.example/o/r')
    assertRefused('https://evil.example#github.com')
    assertRefused('https://evil.example/?github.com/o/r')
    assertRefused('https://gíthub.com/o/r', /xn--/)
    assertRefused('https://ｇithub.com/o/r')
    assertRefused('https://github.com\\@evil.example/o/r')
    assertRefused('https://github%2ecom/o/r')
  })

  it('S-05 refuses other protocols and says what to use', () => {
    assertRefused('ssh://git@github.com/o/r', /https:\/\//)
    assertRefused('git://github.com/o/r', /https:\/\//)
    assertRefused('git@github.com:o/r.git', /SSH addresses are not supported; use https/)
    assertRefused('file:///etc', /https/)
    assertRefused('/etc/passwd')
    assertRefused('C:\\repo')
  })

  it('S-06 refuses credentials and does not repeat them', () => {
    for (const url of ['https://user:hunter2@github.com/o/r', 'https://hunter2@github.com/o/r']) {
      assert.throws(
        () => parse(url),
        (error) => error instanceof Error && !error.message.includes('hunter2'),
      )
    }
  })

  it('G-02 refuses options', () => {
    assertRefused('--upload-pack=touch /tmp/p')
    assertRefused('-oProxyCommand=x')
    assertRefused('ssh://-oProxyCommand=x/y')
    assertRefused('https://-oProxyCommand=x/y')
  })

  it('G-03 refuses ext::, fd:: and file URLs in every spelling', () => {
    for (const url of [
      'ext::sh -c id',
      'EXT::sh',
      'eXt::sh',
      ' ext::sh',
      'fd::17',
      'file:///etc',
    ]) {
      assertRefused(url)
    }
  })

  it('G-04 refuses control characters, encoded ones too', () => {
    for (const part of ['\n', '\r', '%0a', '%0D', '%00', '\0', '\t', '%7f', '\u202e']) {
      assertRefused(`https://github.com/o/r${part}x`)
      assertRefused(`https://github.com${part}/o/r`)
    }
  })

  it('G-20 refuses paths that climb or hide where they lead', () => {
    for (const path of [
      '',
      '/',
      '/../x',
      '/o/../../x',
      '/o/..%2fx',
      '/o/%2e%2e/x',
      '/o//r',
      '/ö',
    ]) {
      assertRefused(`https://github.com${path}`)
    }
  })
})
