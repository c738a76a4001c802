import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { parseWebhookSecrets } from './webhook-secrets.ts'

const KEY = Buffer.alloc(24, 7)
const SECRET = `whsec_${KEY.toString('base64')}`
const OTHER = `whsec_${Buffer.alloc(32, 9).toString('base64')}`

describe('parseWebhookSecrets()', () => {
  it('reads one key, or several while one replaces the other', () => {
    assert.deepEqual(parseWebhookSecrets(SECRET), [KEY])
    assert.deepEqual(parseWebhookSecrets(`${OTHER}, ${SECRET}`), [Buffer.alloc(32, 9), KEY])
  })

  it('refuses what is empty, too short, of another kind or not base64', () => {
    const refused = [
      '',
      'whsec_',
      ',',
      `${SECRET},`,
      KEY.toString('base64'),
      `whsec_${Buffer.alloc(23).toString('base64')}`,
      `WHSEC_${KEY.toString('base64')}`,
      'whsec_not base64 at all, but long enough to be',
      `whsec_${'é'.repeat(40)}`,
    ]
    for (const text of refused) assert.equal(parseWebhookSecrets(text), null, text)
  })
})
