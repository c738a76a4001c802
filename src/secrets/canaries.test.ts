import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { addSealedValues, clock, openInstance } from '../../test/_instance.ts'
import { verifyCanaries } from './canaries.ts'
import { createRedactor } from './redactor.ts'
import { unlockKeyring } from './unlock-keyring.ts'

const key = (id: string) => ({ id, bytes: randomBytes(32) })
const ring = (...keys: ReturnType<typeof key>[]) => ({ keys, currentKeyId: keys[0]?.id ?? '' })

describeOnBothEngines('verifyCanaries()', (open) => {
  it('notes each key once and accepts it again', async () => {
    await using test = await open()
    const [k1, k2] = [key('k1'), key('k2')]
    await verifyCanaries({ clock }, test.db, ring(k1))
    await verifyCanaries({ clock }, test.db, ring(k2, k1))
    await verifyCanaries({ clock }, test.db, ring(k2))
    const rows = await test.db.selectFrom('encryption_keys').select('id').orderBy('id').execute()
    assert.deepEqual(rows, [{ id: 'k1' }, { id: 'k2' }])
  })

  it('C-06 refuses a key of the right shape that is another one', async () => {
    await using test = await open()
    await verifyCanaries({ clock }, test.db, ring(key('k1')))
    await assert.rejects(verifyCanaries({ clock }, test.db, ring(key('k1'))), {
      code: 'keyring.wrong_key',
    })
    await assert.rejects(verifyCanaries({ clock }, test.db, ring(key('k2'), key('k1'))), {
      code: 'keyring.wrong_key',
    })
  })

  it('C-06 refuses a keyring without the key that stored secrets need', async () => {
    await using test = await open()
    await using instance = await openInstance(test.db)
    await addSealedValues(test.db, instance.keyring, 2)
    await assert.rejects(verifyCanaries({ clock }, test.db, ring(key('k2'))), {
      code: 'keyring.missing_key',
      message: /3 stored secrets are sealed with key "k1", which is not in it/,
    })
    await test.db.deleteFrom('encryption_keys').execute()
    await assert.rejects(verifyCanaries({ clock }, test.db, ring(key('k2'))), {
      code: 'keyring.missing_key',
      message: /3 stored secrets are sealed with a key that nothing is known of/,
    })
  })

  it('refuses a retired key in the first place', async () => {
    await using test = await open()
    const k1 = key('k1')
    await verifyCanaries({ clock }, test.db, ring(k1))
    await test.db.updateTable('encryption_keys').set({ retired_at: '2026-01-01' }).execute()
    await assert.rejects(verifyCanaries({ clock }, test.db, ring(k1)), {
      code: 'keyring.retired_key',
    })
    await verifyCanaries({ clock }, test.db, ring(key('k2'), k1))
  })
})

describeOnBothEngines('unlockKeyring()', (open) => {
  it('C-05 does not make a new key file when the old one is lost', async () => {
    await using test = await open()
    await using instance = await openInstance(test.db)
    const deps = {
      db: test.db,
      clock,
      redactor: createRedactor(),
      config: { encryptionKeys: null, dataDirectory: instance.dataDirectory },
    }
    const keyring = await unlockKeyring(deps)
    const bytes = Buffer.from(keyring.keys[0]?.bytes ?? []).toString('base64')
    assert.equal(deps.redactor.redact(`a key: ${bytes}`), 'a key: [secret]')
    rmSync(instance.dataDirectory, { recursive: true })
    await assert.rejects(unlockKeyring(deps), { code: 'keyring.missing' })
  })
})
