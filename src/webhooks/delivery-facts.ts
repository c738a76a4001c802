import type { StoredDeliveryFacts } from '../database/schema.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { INSTANCE } from '../secrets/sealed-columns.ts'
import type { DigestedBody } from './digest-body.ts'
import type { SigningSecret } from './verify-signature.ts'

/** A delivery that proved where it comes from. */
export interface VerifiedDelivery {
  hookId: string
  organizationId: string | null
  event: string
  deliveryId: string
  /** The App that sent it, as an unsigned header says. */
  targetId: number | null
  secret: SigningSecret
  bodyHash: string
  bodyBytes: number
  body: DigestedBody
}

/** The columns that a payload decides. */
export function columnsOf({ facts }: DigestedBody) {
  return {
    action: facts?.action ?? null,
    installation_id: facts?.installationId ?? null,
    repo_id: facts?.repoId ?? null,
    ref: facts?.ref ?? null,
    before_commit: facts?.before ?? null,
    head_commit: facts?.after ?? null,
  }
}

/** What of a delivery has no column of its own. */
export function factsOf(
  known: Pick<StoredDeliveryFacts, 'target_id' | 'signed_with' | 'guid_conflict'>,
  { facts }: DigestedBody,
): StoredDeliveryFacts {
  return {
    ...known,
    sender_id: facts?.senderId ?? null,
    sender_login: facts?.senderLogin ?? null,
    problem: facts === null ? 'malformed' : facts.problem,
  }
}

/** The body as it is stored; bytes of a body need not be text. */
export function sealBody(
  keyring: Pick<Keyring, 'seal'>,
  rowId: string,
  compressed: Uint8Array | null,
): string | null {
  if (compressed === null) return null
  return keyring.seal(Buffer.from(compressed).toString('base64'), placeOf(rowId))
}

export function openBody(keyring: Pick<Keyring, 'open'>, rowId: string, sealed: string): Buffer {
  return Buffer.from(keyring.open(sealed, placeOf(rowId)).reveal(), 'base64')
}

function placeOf(rowId: string) {
  return { organizationId: INSTANCE, table: 'webhook_deliveries', column: 'body_sealed', rowId }
}
