import { z } from 'zod'

const finding = z.object({
  check: z.string(),
  status: z.enum(['ok', 'warning', 'failed']),
  message: z.string(),
  fix: z.string().nullable(),
})

export const instance = z.object({
  version: z.string(),
  node_version: z.string(),
  database_engine: z.enum(['sqlite', 'postgres']),
  isolation: z.enum(['users', 'namespaces', 'none']),
  base_domain: z.string(),
  public_base_url: z.string(),
  traffic_url: z.string(),
  started_at: z.string(),
  findings: z.array(finding),
})

export const readiness = z.object({
  ready: z.boolean(),
  checks: z.record(z.string(), z.enum(['ok', 'failed'])),
})

export const health = z.object({ status: z.literal('ok') })

export const keyStatus = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      current: z.boolean(),
      sealed_values: z.number().int(),
      created_at: z.string().nullable(),
      retired_at: z.string().nullable(),
    }),
  ),
})

export const keyParams = z.object({ id: z.string().min(1).max(100) })
