import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import { findGithubSite } from './github-sites.ts'

describe('findGithubSite()', () => {
  const hosts = ['github.com', 'git.example.com:8443', '10.0.0.5:3000@private']

  it('knows github.com and servers of the list', () => {
    const com = { webUrl: 'https://github.com', apiUrl: 'https://api.github.com' }
    assert.deepEqual(findGithubSite(hosts, null), com)
    assert.deepEqual(findGithubSite(hosts, 'https://github.com'), com)
    const own = 'https://git.example.com:8443'
    assert.deepEqual(findGithubSite(hosts, own), { webUrl: own, apiUrl: `${own}/api/v3` })
    assert.equal(findGithubSite(hosts, 'http://10.0.0.5:3000').webUrl, 'http://10.0.0.5:3000')
  })

  it('I-10 refuses every other address, and http unless the host is private', () => {
    const others = [
      'https://evil.example',
      'https://github.com.evil.example',
      'https://github.com@evil.example',
      'https://git.example.com',
      'http://github.com',
      'http://git.example.com:8443',
      'https://github.com/enterprise',
      'https://github.com?x',
      'javascript:alert(1)',
      '//github.com',
      '',
    ]
    for (const url of others) {
      const isRefused = (error: unknown) => isOperationError(error, 'integration.site_not_allowed')
      assert.throws(() => findGithubSite(hosts, url), isRefused, url)
    }
    assert.throws(() => findGithubSite([], null), /allowed host, which are none/)
  })
})
