import type { Database } from '../database/database.ts'
import type { InstanceKeyring } from './open-keyring.ts'
import { countSealedBy, countSealedByOthers } from './sealed-columns.ts'

export interface KeyStatus {
  id: string
  /** The one that seals. */
  current: boolean
  inKeyring: boolean
  /** Stored secrets that it sealed. */
  sealedValues: number
  createdAt: string | null
  retiredAt: string | null
}

export interface KeyringStatus {
  source: 'environment' | 'file'
  keys: KeyStatus[]
}

/** Every key that this instance has or had, the current one first, then by id. */
export async function keyStatus(deps: {
  db: Database
  keyring: InstanceKeyring
}): Promise<KeyringStatus> {
  const known = await deps.db.selectFrom('encryption_keys').selectAll().orderBy('id').execute()
  const rows = new Map(known.map((row) => [row.id, row]))
  const ids = [...new Set([...deps.keyring.keyIds, ...rows.keys()])]
  const keys: KeyStatus[] = []
  for (const id of ids) {
    keys.push({
      id,
      current: id === deps.keyring.currentKeyId,
      inKeyring: deps.keyring.keyIds.includes(id),
      sealedValues: await countSealedBy(deps.db, id),
      createdAt: rows.get(id)?.created_at ?? null,
      retiredAt: rows.get(id)?.retired_at ?? null,
    })
  }
  return { source: deps.keyring.source, keys }
}

/** How many stored secrets the current key did not seal. */
export async function countToReseal(deps: {
  db: Database
  keyring: InstanceKeyring
}): Promise<number> {
  return await countSealedByOthers(deps.db, [deps.keyring.currentKeyId])
}
