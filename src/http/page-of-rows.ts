/**
 * A page of a list whose query asked for one row more than `limit`: that one only tells that there are more. The cursor
 * is the id of the last row that is shown.
 */
export function pageOfRows<Row extends { id: string }>(
  rows: readonly Row[],
  limit: number,
): { rows: Row[]; next_cursor: string | null } {
  const shown = rows.slice(0, limit)
  return { rows: shown, next_cursor: rows.length > limit ? (shown.at(-1)?.id ?? null) : null }
}
