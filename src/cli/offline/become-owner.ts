import { lstatSync } from 'node:fs'

/**
 * Makes root act as whoever owns a directory of the data directory, until disposed of: that user can put links there,
 * which root would follow, and must be able to write what is made there. Changes nothing for who is not root.
 */
export function becomeOwnerOf(directory: string): Disposable {
  const { uid, gid } = lstatSync(directory)
  const { geteuid, getegid, getgroups, seteuid, setegid, setgroups } = process
  const isRoot = geteuid?.() === 0 && uid !== 0
  if (!isRoot || !getegid || !getgroups || !seteuid || !setegid || !setgroups) return NOTHING
  const before = { gid: getegid(), groups: getgroups() }
  setgroups([])
  setegid(gid)
  seteuid(uid)
  return {
    [Symbol.dispose]: () => {
      seteuid(0)
      setegid(before.gid)
      setgroups(before.groups)
    },
  }
}

const NOTHING: Disposable = { [Symbol.dispose]: () => {} }
