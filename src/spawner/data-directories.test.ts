import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

import { prepareDirectories } from './data-directories.ts'

const notRoot = process.getuid?.() === 0 ? false : 'needs root: gives directories to another user'

describe('prepareDirectories()', () => {
  let home: string
  beforeEach(() => (home = mkdtempSync(join(tmpdir(), 'nanoscale-'))))
  afterEach(() => rmSync(home, { recursive: true, force: true }))

  const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

  it('makes private directories private and sets a mode again that somebody opened', async () => {
    const data = join(home, 'data')
    await prepareDirectories(data, null)
    chmodSync(join(data, 'keys'), 0o777)
    await prepareDirectories(data, null)
    assert.equal(modeOf(data), '711')
    assert.equal(modeOf(join(data, 'keys')), '700')
    // The names in it are those of other tenants' units.
    assert.equal(modeOf(join(data, 'logs')), '711')
  })

  it('refuses a link in the place of a directory', async () => {
    await prepareDirectories(join(home, 'data'), null)
    rmSync(join(home, 'data', 'keys'), { recursive: true })
    symlinkSync(home, join(home, 'data', 'keys'))
    await assert.rejects(prepareDirectories(join(home, 'data'), null), {
      code: 'start.data_directory_unusable',
    })
  })

  it(
    'gives to the platform user what is its own, and the rest to root',
    { skip: notRoot },
    async () => {
      chmodSync(home, 0o755)
      const data = join(home, 'data')
      await prepareDirectories(data, { uid: 12_345, gid: 12_346 })
      assert.deepEqual(
        [statSync(join(data, 'run')).uid, statSync(join(data, 'run')).gid],
        [12_345, 12_346],
      )
      assert.equal(statSync(join(data, 'logs')).uid, 0)
    },
  )

  it('names the parent that keeps apps out', { skip: notRoot }, async () => {
    await assert.rejects(prepareDirectories(join(home, 'data'), { uid: 12_345, gid: 12_346 }), {
      code: 'start.data_directory_closed',
      message: new RegExp(`other users may not enter "${home}"`),
    })
  })
})
