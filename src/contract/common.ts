import { z } from 'zod'

export const DEFAULT_PAGE_SIZE = 50
export const MAX_PAGE_SIZE = 200

/** Every failure answers with this. `code` is `room.reason` and stays the same; the sentence may change. */
export const errorBody = z.object({
  error: z.string().meta({ description: 'What went wrong, in a sentence' }),
  code: z.string().meta({ description: 'room.reason, for programs' }),
  details: z
    .record(z.string(), z.array(z.string()))
    .optional()
    .meta({ description: 'What is wrong with which field' }),
  request_id: z.string().optional().meta({ description: 'Names this request in the logs' }),
})

/** An id that nobody has and one that is none at all are the same 404, so its form is not checked. */
export const idParams = z.object({ id: z.string().min(1).max(100) })

export const pageQuery = z.object({
  cursor: z.string().max(200).optional().meta({ description: '`next_cursor` of the page before' }),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE_SIZE).default(DEFAULT_PAGE_SIZE),
})

/** A page of a list; `next_cursor` is null on the last one. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() })
}

export const time = z.string().meta({ description: 'UTC, as 2026-01-31T12:00:00.000Z' })

/** Query of a log stream. */
export const logQuery = z.object({
  tail: z.coerce
    .number()
    .int()
    .min(0)
    .max(10_000)
    .optional()
    .meta({ description: 'Begin with this many last lines' }),
  follow: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Stay and send what comes; so by default for events, not for text' }),
})
