import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import {
  addProject,
  addSealedValues,
  clock,
  openInstance,
  readVariables,
  variable,
} from '../../test/_instance.ts'
import { verifyCanaries } from './canaries.ts'
import { keyStatus } from './key-status.ts'
import { openKeyring } from './open-keyring.ts'
import { retireKey } from './retire-key.ts'
import { rotateKeys } from './rotate-keys.ts'
import { SEALED_COLUMNS } from './sealed-columns.ts'

describeOnBothEngines('SEALED_COLUMNS', (open) => {
  it('has every column of the schema that holds sealed values', async () => {
    await using test = await open()
    const tables = await test.db.introspection.getTables()
    const sealed = tables.flatMap((table) =>
      table.columns
        .filter((column) => column.name.endsWith('_sealed'))
        .map((column) => `${table.name}.${column.name}`),
    )
    const registered = SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`)
    assert.deepEqual(sealed.sort(), [...registered, 'encryption_keys.canary_sealed'].sort())
  })
})

describeOnBothEngines('rotateKeys()', (open) => {
  it('seals everything with a new key, tells its progress, and lets the old key go', async () => {
    await using test = await open()
    const { db } = test
    await using instance = await openInstance(db)
    const { keyring } = instance
    await addSealedValues(db, keyring, 250)
    const seen: string[] = []
    const result = await rotateKeys({ db, clock, keyring }, ({ resealed, total }) => {
      seen.push(`${resealed}/${total}`)
    })
    assert.deepEqual(result, { keyId: 'k2', resealed: 251, total: 251 })
    assert.deepEqual(seen, ['0/251', '100/251', '200/251', '250/251', '251/251'])
    assert.equal((await readVariables(db, keyring)).length, 250)
    await retireKey({ db, clock, keyring }, 'k1')
    const again = await openKeyring(
      { encryptionKeys: null, dataDirectory: instance.dataDirectory },
      { createMissing: false },
    )
    await verifyCanaries({ clock }, db, again)
    assert.deepEqual(again.keyIds, ['k2'])
    assert.equal((await readVariables(db, again)).length, 250)
    const { keys } = await keyStatus({ db, keyring })
    assert.deepEqual(
      keys.map(({ id, current, inKeyring, sealedValues }) => ({
        id,
        current,
        inKeyring,
        sealedValues,
      })),
      [
        { id: 'k2', current: true, inKeyring: true, sealedValues: 251 },
        { id: 'k1', current: false, inKeyring: false, sealedValues: 0 },
      ],
    )
  })

  it('C-07 goes on beside writers, who lose nothing', async () => {
    await using test = await open()
    const { db } = test
    await using instance = await openInstance(db)
    const { keyring } = instance
    await addSealedValues(db, keyring, 300)
    const projectId = await addProject(db)
    // Sealed with the old key, stored while the rotation runs.
    const late = variable(keyring, projectId, 'LATE')
    let stored: Promise<unknown> | undefined
    const rotation = rotateKeys({ db, clock, keyring }, ({ resealed }) => {
      if (resealed === 200) stored = db.insertInto('environment_variables').values(late).execute()
    })
    const writers = Array.from({ length: 20 }, async (_, index) => {
      const row = variable(keyring, projectId, `W${index}`)
      await db.insertInto('environment_variables').values(row).execute()
      await readVariables(db, keyring)
    })
    await Promise.all([rotation, ...writers])
    await stored
    await rotateKeys({ db, clock, keyring })
    assert.equal((await readVariables(db, keyring)).length, 321)
    const { keys } = await keyStatus({ db, keyring })
    assert.equal(keys.find(({ id }) => id === 'k1')?.sealedValues, 0)
  })

  it('C-07 is continued with the same key after a kill -9 in the middle', async () => {
    await using test = await open()
    const { db } = test
    await using instance = await openInstance(db)
    await addSealedValues(db, instance.keyring, 400)
    const program = `
      import { openDatabase } from ${JSON.stringify(join(import.meta.dirname, '../database/open-database.ts'))}
      import { openKeyring } from ${JSON.stringify(join(import.meta.dirname, 'open-keyring.ts'))}
      import { rotateKeys } from ${JSON.stringify(join(import.meta.dirname, 'rotate-keys.ts'))}
      const keyring = await openKeyring({ encryptionKeys: null, dataDirectory: ${JSON.stringify(instance.dataDirectory)} }, { createMissing: false })
      const db = await openDatabase(${JSON.stringify(test.location)})
      await rotateKeys({ db, keyring, clock: { now: () => 0 } }, ({ resealed }) => {
        if (resealed >= 200) process.kill(process.pid, 'SIGKILL')
      })`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: 'inherit',
    })
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
    assert.equal(signal, 'SIGKILL')
    const keyring = await openKeyring(
      { encryptionKeys: null, dataDirectory: instance.dataDirectory },
      { createMissing: false },
    )
    await verifyCanaries({ clock }, db, keyring)
    assert.deepEqual(keyring.keyIds, ['k2', 'k1'])
    assert.equal((await readVariables(db, keyring)).length, 400)
    await assert.rejects(retireKey({ db, clock, keyring }, 'k1'), { code: 'keyring.in_use' })
    const result = await rotateKeys({ db, clock, keyring })
    assert.equal(result.keyId, 'k2')
    assert.equal(result.total, 201)
    assert.equal((await readVariables(db, keyring)).length, 400)
  })

  it('refuses a second rotation beside the first, and leaves what no key opens', async () => {
    await using test = await open()
    const { db } = test
    await using instance = await openInstance(db)
    const { keyring } = instance
    await addSealedValues(db, keyring, 150)
    await db
      .updateTable('environment_variables')
      .set({ value_sealed: 'v1.k1.damaged' })
      .where('name', '=', 'V7')
      .execute()
    const first = rotateKeys({ db, clock, keyring })
    await assert.rejects(rotateKeys({ db, clock, keyring }), { code: 'keyring.busy' })
    await assert.rejects(first, {
      code: 'keyring.not_all_resealed',
      message: /1 are still sealed .* No key opens environment_variables\.value_sealed of row/,
    })
    const { keys } = await keyStatus({ db, keyring })
    assert.equal(keys.find(({ id }) => id === 'k2')?.sealedValues, 150)
  })
})

describeOnBothEngines('retireKey()', (open) => {
  it('C-08 refuses the key that seals, one in use, and one that is not there', async () => {
    await using test = await open()
    const { db } = test
    await using instance = await openInstance(db)
    const { keyring } = instance
    await addSealedValues(db, keyring, 3)
    await assert.rejects(retireKey({ db, clock, keyring }, 'k1'), { code: 'keyring.in_use' })
    await keyring.addKey([])
    await assert.rejects(retireKey({ db, clock, keyring }, 'k1'), {
      code: 'keyring.in_use',
      message: /4 stored secrets are sealed with it/,
    })
    await assert.rejects(retireKey({ db, clock, keyring }, 'k7'), { code: 'keyring.not_found' })
    assert.deepEqual(keyring.keyIds, ['k2', 'k1'])
  })
})
