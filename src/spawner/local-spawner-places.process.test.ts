import assert from 'node:assert/strict'
import { access, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { isOperationError } from '../lib/errors.ts'
import {
  BUILD_A,
  BUILD_B,
  LIMITS,
  PLATFORM_USER,
  PROJECT_A,
  openTestSpawner,
  skipUnlessRoot,
} from './_spawner.ts'
import type { TestSpawner } from './_spawner.ts'
import type { Account } from './spawner.ts'

describe('createLocalSpawner().makeDirectory()', skipUnlessRoot, () => {
  it('makes directories of their accounts alone, as often as it is asked', async () => {
    await using test = await openTestSpawner()
    const place = { area: 'builds', id: 'b1' } as const
    const path = await test.spawner.makeDirectory(place, BUILD_A)
    assert.equal(await test.spawner.makeDirectory(place, BUILD_A), path)
    const facts = await stat(path)
    assert.deepEqual(
      [facts.uid, facts.gid, facts.mode & 0o7777],
      [test.uidOf(BUILD_A), test.uidOf(BUILD_A), 0o700],
    )
    await assert.rejects(test.spawner.makeDirectory(place, BUILD_B), (error) =>
      isOperationError(error, 'spawner.place_taken'),
    )
  })

  it('gives each mirror a group of its own, which only a process that names it enters', async () => {
    await using test = await openTestSpawner()
    const { spawner } = test
    const paths = await Promise.all(
      ['m1', 'm2'].map((id) => spawner.makeDirectory({ area: 'mirrors', id }, BUILD_A)),
    )
    const facts = await Promise.all(paths.map((path) => stat(path)))
    const gid = test.accounts?.firstMirrorGid ?? 0
    assert.deepEqual(
      facts.map(({ uid, gid, mode }) => [uid, gid, mode & 0o7777]),
      [
        [0, gid, 0o2770],
        [0, gid + 1, 0o2770],
      ],
    )
    await spawner.makeDirectory({ area: 'builds', id: 'b1' }, BUILD_A)
    const result = await spawner.run({
      unit: 'u1',
      account: BUILD_A,
      mirror: 'm1',
      argv: ['sh', '-c', 'umask 007; mkdir d; echo hi >d/file; ls ../m2'],
      env: { PATH: '/usr/bin:/bin' },
      directory: { area: 'mirrors', id: 'm1' },
      limits: LIMITS,
      timeoutMs: 5000,
    })
    assert.match(result.stderr, /Permission denied/)
    assert.equal(await readFile(join(paths[0] ?? '', 'd', 'file'), 'utf8'), 'hi\n')
    await spawner.remove({ area: 'mirrors', id: 'm1' })
    await assert.rejects(access(paths[0] ?? ''))
  })

  it('G-20 refuses ids and paths that lead out', async () => {
    await using test = await openTestSpawner()
    for (const id of ['..', '.', '', 'a/b', '../x', 'A', 'a'.repeat(65), 'a\0']) {
      await assert.rejects(test.spawner.makeDirectory({ area: 'builds', id }, BUILD_A), (error) =>
        isOperationError(error, 'spawner.invalid_place'),
      )
    }
    for (const path of ['..', 'a/../../b', '/etc', 'a\0b']) {
      const sealing = test.spawner.sealRelease({
        build: 'b1',
        path,
        release: 'r1',
        reader: 'platform',
      })
      await assert.rejects(sealing, (error) => isOperationError(error, 'spawner.invalid_path'))
    }
  })
})

describe('createLocalSpawner().remove()', skipUnlessRoot, () => {
  it('removes read-only trees and odd names, and follows no link', async () => {
    await using test = await openTestSpawner()
    const kept = join(test.dataDirectory, 'kept')
    await mkdir(kept, { mode: 0o777 })
    await writeFile(join(kept, 'file'), 'kept')
    const ref = await test.start(
      BUILD_A,
      `ln -s ${kept} link; mkdir -p a/b; echo x >a/b/c; : >'-rf'; : >"$(printf 'new\\nline')"; chmod -R a-w a; chmod 000 a`,
    )
    await test.spawner.exited(ref)
    const place = { area: 'builds', id: ref.unit } as const
    assert.ok((await test.spawner.usage(place)) > 0)
    await test.spawner.remove(place)
    await assert.rejects(access(join(test.dataDirectory, 'builds', ref.unit)))
    assert.equal(await readFile(join(kept, 'file'), 'utf8'), 'kept')
    await test.spawner.remove(place)
    assert.equal(await test.spawner.usage(place), 0)
  })
})

async function sealed(test: TestSpawner, script: string, path = 'out') {
  const ref = await test.start(BUILD_A, script)
  assert.deepEqual(await test.spawner.exited(ref), { exitCode: 0, exitSignal: null })
  await test.spawner.endAccount(BUILD_A)
  const options = { build: ref.unit, path, release: `r-${ref.unit}`, reader: PROJECT_A }
  return { options, release: () => test.spawner.sealRelease(options) }
}

describe('createLocalSpawner().sealRelease()', skipUnlessRoot, () => {
  it('makes a release that its reader reads, nobody writes and others do not see', async () => {
    await using test = await openTestSpawner()
    const { options, release } = await sealed(
      test,
      'mkdir -p out/bin; cd out; echo hi >file; chmod 777 file; ln file hard; ln -s ../file bin/link; ln -s gone dangling',
    )
    const { path, bytes } = await release()
    assert.ok(bytes >= 4096)
    const facts = await stat(join(path, 'file'))
    assert.deepEqual([facts.uid, facts.gid, facts.mode & 0o7777], [0, test.uidOf(PROJECT_A), 0o550])
    const read = async (account: Account) =>
      test.logOf(
        await exitedRef(
          test,
          account,
          `cat ${path}/bin/link; echo x >>${path}/file; rm -f ${path}/file`,
        ),
      )
    assert.match(await read(PROJECT_A), /^hi\n/)
    assert.doesNotMatch(await read(BUILD_A), /hi/)
    assert.equal(await readFile(join(path, 'file'), 'utf8'), 'hi\n')
    assert.deepEqual(await test.spawner.sealRelease(options), { path, bytes })
    await test.spawner.remove({ area: 'releases', id: options.release })
    await assert.rejects(access(path))
  })

  it('gives a static release to the platform, and may take the whole workspace', async () => {
    await using test = await openTestSpawner()
    const { options } = await sealed(test, 'echo hi >index.html', '.')
    const { path } = await test.spawner.sealRelease({ ...options, reader: 'platform' })
    assert.equal((await stat(path)).gid, PLATFORM_USER.gid)
    assert.equal((await stat(path)).mode & 0o777, 0o550)
  })

  it('removes the absolute link that node-gyp leaves', async () => {
    await using test = await openTestSpawner()
    const gyp = 'out/node_modules/x/build/node_gyp_bins'
    const { release } = await sealed(test, `mkdir -p ${gyp}; ln -s /usr/bin/python3 ${gyp}/python3`)
    const { path } = await release()
    await assert.rejects(access(join(path, 'node_modules/x/build/node_gyp_bins/python3')))
  })

  const unsafe: Record<string, string> = {
    'an absolute link': 'ln -s /etc/shadow out/bad',
    'a link to the root': 'ln -s / out/bad',
    'a link above': 'ln -s ../../bad out/bad',
    'a link that leaves through another':
      'mkdir -p out/a/b; ln -s a/b out/short; ln -s short/../../../x out/bad',
    'a chain of links': 'ln -s bad out/a; ln -s /etc/passwd out/bad',
    'a link to itself': 'ln -s bad out/bad',
    'a pipe': 'mkfifo out/bad',
    'a setuid program': 'cp /bin/true out/bad; chmod 4755 out/bad',
    'a setgid program': 'cp /bin/true out/bad; chmod 2755 out/bad',
  }
  for (const [name, script] of Object.entries(unsafe)) {
    it(`G-12 D-04 refuses ${name}, naming it`, async () => {
      await using test = await openTestSpawner()
      const { release, options } = await sealed(test, `mkdir out; ${script}`)
      await assert.rejects(
        release(),
        (error) =>
          isOperationError(error, 'release.unsafe_tree') && /"(bad|a)"/.test(error.message),
      )
      await assert.rejects(access(join(test.dataDirectory, 'releases', options.release)))
    })
  }

  it('D-04 refuses a hard link to a file of somebody else', async () => {
    await using test = await openTestSpawner()
    const { release, options } = await sealed(test, 'mkdir out')
    // As if the kernel did not protect hard links: only root can make one here.
    await writeFile(join(test.dataDirectory, 'builds', options.build, 'out', 'bad'), 'of root')
    await assert.rejects(release(), (error) => isOperationError(error, 'release.unsafe_tree'))
  })

  it('refuses a path through a link, and a build that still runs', async () => {
    await using test = await openTestSpawner()
    const linked = await sealed(test, 'mkdir real; ln -s real out')
    await assert.rejects(linked.release(), (error) =>
      isOperationError(error, 'release.unsafe_tree'),
    )
    const running = await test.start(BUILD_A, 'mkdir out; echo up; sleep 60')
    await test.waitForLog(running, 'up')
    await assert.rejects(
      test.spawner.sealRelease({ ...linked.options, build: running.unit, path: 'out' }),
      (error) => isOperationError(error, 'release.build_not_ended'),
    )
  })
})

async function exitedRef(test: TestSpawner, account: Account, script: string) {
  const ref = await test.start(account, script)
  await test.spawner.exited(ref)
  return ref
}
