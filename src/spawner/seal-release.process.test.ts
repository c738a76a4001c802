import assert from 'node:assert/strict'
import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { BUILD_A, PROJECT_A, openTestSpawner, skipUnlessRoot } from './_spawner.ts'

describe('sealRelease()', skipUnlessRoot, () => {
  it('G-12 D-04 takes nothing but the tree, though an app of the tenant swaps the way to it', async () => {
    await using test = await openTestSpawner()
    const keys = join(test.dataDirectory, 'keys')
    await mkdir(join(keys, 'out'), { recursive: true, mode: 0o700 })
    await writeFile(join(keys, 'out', 'keyring'), 'secret', { mode: 0o600 })
    // These take sealing the time that the app needs.
    const files = 'for i in $(seq 3000); do : >a/out/$i; done'
    const build = await test.start(BUILD_A, `mkdir -p a/out; ${files}; chmod 777 . a`)
    await test.spawner.exited(build)
    const workspace = join(test.dataDirectory, 'builds', build.unit)
    const app = await test.start(
      PROJECT_A,
      `cd ${workspace} && echo there
       while [ "$(stat -c %u a/out/1 2>&1)" = ${test.uidOf(BUILD_A)} ]; do :; done
       mv a b && ln -s ${keys} a; echo done`,
    )
    await test.waitForLog(app, 'there')
    await test.spawner.endAccount(BUILD_A)
    const options = { build: build.unit, path: 'a/out', release: 'r1', reader: PROJECT_A }
    await test.spawner.sealRelease(options).catch(() => {})
    await test.waitForLog(app, 'done')
    for (const path of [join(keys, 'out'), join(keys, 'out', 'keyring')]) {
      const { uid, gid, mode } = await lstat(path)
      assert.deepEqual([uid, gid, mode & 0o077], [0, 0, 0], path)
    }
  })

  it('D-04 lets nobody who has a directory open add to what was inspected', async () => {
    await using test = await openTestSpawner()
    // Between the first and the last step of sealing these take the time that the app needs.
    const files = 'for i in $(seq 3000); do : >out/$i; done'
    const script = `mkdir -p out/open; ${files}; echo hi >out/open/file; chmod -R 777 .`
    const build = await test.start(BUILD_A, script)
    await test.spawner.exited(build)
    const app = await test.start(
      PROJECT_A,
      `cd ${join(test.dataDirectory, 'builds', build.unit)}/out/open && echo there
       while [ "$(stat -c %u file 2>&1)" = ${test.uidOf(BUILD_A)} ]; do :; done
       ln -s /etc/shadow planted; echo done`,
    )
    await test.waitForLog(app, 'there')
    await test.spawner.endAccount(BUILD_A)
    const options = { build: build.unit, path: 'out', release: 'r2', reader: 'platform' } as const
    const { path } = await test.spawner.sealRelease(options)
    await test.waitForLog(app, 'done')
    assert.deepEqual(await readdir(join(path, 'open')), ['file'])
  })
})
