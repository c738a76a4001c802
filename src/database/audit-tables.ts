export type ActorKind = 'operator' | 'user' | 'token' | 'provider' | 'system' | 'anonymous'
export type AuditOutcome = 'done' | 'refused' | 'failed'

export interface AuditEventTable {
  id: string
  /** Null for what concerns the instance. */
  organization_id: string | null
  occurred_at: string
  actor_kind: ActorKind
  actor_id: string | null
  actor_name: string | null
  address: string | null
  request_id: string | null
  action: string
  outcome: AuditOutcome
  target_kind: string | null
  target_id: string | null
  target_name: string | null
  details: Record<string, unknown>
  /** Its place in the chain; null until the leader sealed it. */
  sequence: number | null
  mac: string | null
}

export interface AuditChainTable {
  name: 'head' | 'checkpoint'
  sequence: number
  event_mac: string
  signed_at: string
  signature: string
}
