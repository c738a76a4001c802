import type { Database } from '../database/database.ts'
import { startLoop } from '../jobs/loop.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import type { Keyring } from '../secrets/keyring.ts'
import { formatAnchor, positionOf, readChainRow } from './audit-chain.ts'
import { sealAuditEvents } from './seal-audit-events.ts'

interface SealingDeps {
  db: Database
  clock: Clock
  log: Logger
  keyring: Pick<Keyring, 'seal' | 'open'>
}

const EVERY_MS = 1000
const TELL_EVERY_MS = 3_600_000

/**
 * Seals each second what was recorded, until it is disposed, which seals once more. Logs the head each hour: kept where
 * nobody of this machine changes it, such a line proves later that the chain was not rolled back.
 */
export function startAuditSealing(deps: SealingDeps): AsyncDisposable {
  let secret: Buffer | null = null
  const seal = async () => {
    secret ??= await readInstanceSecret(deps, 'audit')
    await sealAuditEvents({ ...deps, secret })
  }
  const due = { head: 0, failure: 0 }
  const loop = startLoop(deps, { name: 'seal-audit', pauseMs: EVERY_MS }, async () => {
    const now = deps.clock.now()
    const later = now + TELL_EVERY_MS
    try {
      await seal()
      due.failure = 0
      if (now >= due.head && (await logHead(deps))) due.head = later
    } catch (error) {
      // It comes again every second, and it is the same sentence.
      if (now < due.failure) return
      due.failure = later
      deps.log.error('Audit events are not sealed', { reason: messageOf(error) })
    }
  })
  return {
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]()
      // What is left is sealed by the next start.
      await seal().catch((error: unknown) => {
        deps.log.warn('The last audit events are not sealed yet', { reason: messageOf(error) })
      })
    },
  }
}

/** False while there is nothing to tell. */
async function logHead({ db, log }: SealingDeps): Promise<boolean> {
  const head = await readChainRow(db, 'head')
  if (head === undefined || head.sequence === 0) return false
  log.info('Audit head', { anchor: formatAnchor(positionOf(head)) })
  return true
}
