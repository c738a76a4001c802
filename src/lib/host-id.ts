import { readFile } from 'node:fs/promises'

import { systemErrorCode } from './errors.ts'
import type { NewId } from './ids.ts'
import { writeFileAtomically } from './write-file-atomically.ts'

/** Which machine this is, for the records of what runs where: made at the first start and kept in a file. */
export async function readHostId(path: string, newId: NewId): Promise<string> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error
  }
  const hostId = newId()
  await writeFileAtomically(path, `${hostId}\n`)
  return hostId
}
