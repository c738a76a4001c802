import { chmodSync, lchownSync, lstatSync, readdirSync } from 'node:fs'
import { chmod, lchown } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { entryFault, toBytes, toPath, unsafeTree } from './inspect-tree.ts'
import { factsOf } from './places.ts'

const ENTRIES_PER_TURN = 500

/**
 * Takes the way to a directory of a build away from its owner, step by step from the top: `place` and each of `parts`
 * below it. The owner may have opened them to others, for example to an app of its own that waits there; once a
 * directory is root's and closed, nobody else changes a name in it, so the next step is what it was seen to be.
 */
export async function takeWay(
  place: string,
  parts: readonly string[],
  ownerUid: number,
): Promise<void> {
  let path = place
  for (const part of ['', ...parts]) {
    path = join(path, part)
    const facts = await factsOf(path)
    if (facts === null) throw unsafeTree(toBytes(part), 'it was there a moment ago')
    if (!facts.isDirectory()) throw unsafeTree(toBytes(part), 'it is no directory')
    if (facts.uid !== ownerUid) throw unsafeTree(toBytes(part), `it belongs to uid ${facts.uid}`)
    await lchown(path, 0, 0)
    await chmod(path, 0o700)
  }
}

/**
 * Makes everything in a tree root's, readable by `gid` and writable by nobody, from the top: each directory before what
 * is in it is looked at. `root` has been taken. Whoever still has a directory of the tree open can add to it until its
 * turn comes, and can then change no name any more. Throws `release.unsafe_tree` for what is not `ownerUid`'s, or is no
 * file, directory or link.
 */
export async function takeTree(root: string, ownerUid: number, gid: number): Promise<void> {
  const base = toBytes(root)
  const pending: string[] = ['']
  // The other names of a file that is taken already.
  const taken = new Set<string>()
  let entries = 0
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    const path = toPath(base, name)
    const facts = lstatSync(path)
    const inode = `${facts.dev}:${facts.ino}`
    const fault = name === '' || taken.has(inode) ? null : entryFault(facts, ownerUid)
    if (fault !== null) throw unsafeTree(name, fault)
    if (facts.nlink > 1 && !facts.isDirectory()) taken.add(inode)
    // The owner first: that takes away a setuid bit which was set since the look.
    lchownSync(path, 0, gid)
    if (facts.isDirectory()) {
      chmodSync(path, 0o550)
      for (const child of readdirSync(path, 'latin1')) {
        pending.push(name === '' ? child : `${name}/${child}`)
      }
    } else if (facts.isFile()) {
      chmodSync(path, (facts.mode & 0o111) === 0 ? 0o440 : 0o550)
    }
    if (++entries % ENTRIES_PER_TURN === 0) await setImmediate()
  }
}
