/** Chains of audit events for tests, over a real database. */
import type { Database } from '../database/database.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { readInstanceSecret } from '../secrets/instance-secret.ts'
import { createKeyring } from '../secrets/keyring.ts'
import { parseAnchor } from './audit-chain.ts'
import { recordAuditEvent } from './record-audit-event.ts'
import { sealAuditEvents } from './seal-audit-events.ts'
import { verifyAudit, type AuditVerdict } from './verify-audit.ts'

export const keyring = createKeyring([{ id: 'k1', bytes: new Uint8Array(32).fill(7) }])

export const PERSON = {
  kind: 'user',
  id: 'u1',
  name: 'ann@example.com',
  address: '192.0.2.7',
  requestId: 'r1',
} as const

export const deps = { clock: systemClock, newId }

export async function record(db: Database, count: number, organizationId = 'org-default') {
  for (let index = 0; index < count; index += 1) {
    await recordAuditEvent(deps, db, {
      organizationId,
      by: PERSON,
      action: 'project.updated',
      target: { kind: 'project', id: `p${index}`, name: 'shop' },
      details: { z: index, a: ['ü', null], fields: { b: 1, a: 2 } },
    })
  }
}

export async function secretOf(db: Database): Promise<Buffer> {
  return await readInstanceSecret({ db, clock: systemClock, keyring }, 'audit')
}

export async function seal(db: Database): Promise<number> {
  return await sealAuditEvents({ db, clock: systemClock, secret: await secretOf(db) })
}

/** A chain of `count` sealed events. */
export async function sealed(db: Database, count: number): Promise<void> {
  await record(db, count)
  await seal(db)
}

export async function verify(db: Database, anchor?: string | null): Promise<AuditVerdict> {
  const at = anchor ? parseAnchor(anchor) : null
  const options = { anchor: at, pageSize: 7 }
  for await (const step of verifyAudit({ db, secret: await secretOf(db) }, options)) {
    if (step.kind === 'verdict') return step.verdict
  }
  throw new Error('There was no verdict')
}

/** The kinds and places of what is wrong. */
export async function problemsOf(db: Database, anchor?: string | null): Promise<string[]> {
  const { problems } = await verify(db, anchor)
  return problems.map(({ kind, sequence }) => `${kind} ${sequence}`)
}
