import { lstatSync, readdirSync, readlinkSync, unlinkSync } from 'node:fs'
import type { Stats } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

import { OperationError } from '../lib/errors.ts'

const MAX_LINKS = 40
const ENTRIES_PER_TURN = 500
const SPECIAL_BITS = 0o6000

/** Left by node-gyp to find the interpreter while it compiles; absolute, and of no use afterwards. */
const COMPILER_LINK = /(^|\/)build\/node_gyp_bins\/[^/]+$/

/** Entries of the file system are bytes; latin1 carries each byte through a string unchanged. */
type Bytes = string

/**
 * Looks at every entry of a tree that nobody is changing, and adds up its bytes on disk. Throws `release.unsafe_tree`,
 * naming the path, for what a release must not contain: links that leave it, devices, sockets, pipes, programs with
 * setuid or setgid, and files of somebody else (hard links to them).
 */
export async function inspectTree(root: string, ownerUid: number): Promise<{ bytes: number }> {
  const base = toBytes(root)
  const pending: Bytes[] = ['']
  const counted = new Set<string>()
  let bytes = 0
  let entries = 0
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const facts = lstatSync(toPath(base, path))
    const fault = faultOf(base, path, facts, ownerUid)
    if (fault !== null && facts.isSymbolicLink() && COMPILER_LINK.test(path)) {
      unlinkSync(toPath(base, path))
      continue
    }
    if (fault !== null) throw unsafeTree(path, fault)
    if (facts.isDirectory()) {
      for (const name of readdirSync(toPath(base, path), 'latin1')) {
        pending.push(path === '' ? name : `${path}/${name}`)
      }
    }
    // A file with several names takes its space once.
    const inode = `${facts.dev}:${facts.ino}`
    if (facts.nlink === 1 || facts.isDirectory() || !counted.has(inode)) bytes += facts.blocks * 512
    if (facts.nlink > 1) counted.add(inode)
    // Synchronous reads are several times faster here, but others must have their turn.
    if (++entries % ENTRIES_PER_TURN === 0) await setImmediate()
  }
  return { bytes }
}

function faultOf(base: Bytes, path: Bytes, facts: Stats, ownerUid: number): string | null {
  if (facts.isSymbolicLink() && facts.uid === ownerUid) {
    return linkLeavesTree(base, path) ? 'the symbolic link leads out of the release' : null
  }
  return entryFault(facts, ownerUid)
}

/** What is wrong with an entry by itself, wherever it is. */
export function entryFault(facts: Stats, ownerUid: number): string | null {
  if (facts.uid !== ownerUid) return `it belongs to uid ${facts.uid}`
  if (facts.isDirectory() || facts.isSymbolicLink()) return null
  if (!facts.isFile()) return 'it is no file, directory or symbolic link'
  return (facts.mode & SPECIAL_BITS) === 0 ? null : 'it has a setuid or setgid bit'
}

/** Follows a link as the kernel would, through further links, but inside the tree only; a dangling one stays inside. */
function linkLeavesTree(base: Bytes, link: Bytes): boolean {
  const at = link.split('/')
  const todo = [at.pop() ?? '']
  for (let links = 0; todo.length > 0;) {
    const part = todo.shift()
    if (part === undefined || part === '' || part === '.') continue
    if (part === '..') {
      if (at.pop() === undefined) return true
      continue
    }
    at.push(part)
    const target = targetOf(base, at.join('/'))
    if (target === null) continue
    links += 1
    if (target.startsWith('/') || links > MAX_LINKS) return true
    at.pop()
    todo.unshift(...target.split('/'))
  }
  return false
}

/** Where a link points to; null for what is no link or does not exist. */
function targetOf(base: Bytes, path: Bytes): Bytes | null {
  try {
    return readlinkSync(toPath(base, path), 'latin1')
  } catch {
    return null
  }
}

export function toBytes(path: string): Bytes {
  return Buffer.from(path, 'utf8').toString('latin1')
}

export function toPath(base: Bytes, path: Bytes): Buffer {
  return Buffer.from(path === '' ? base : `${base}/${path}`, 'latin1')
}

export function unsafeTree(path: Bytes, fault: string): OperationError {
  const name = printable(Buffer.from(path, 'latin1').toString('utf8'))
  return new OperationError('release.unsafe_tree', `Cannot release "${name}": ${fault}`)
}

/** File names are the tenant's and end in logs: control characters are shown, not sent. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1))
}
