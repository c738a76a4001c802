import { stripVTControlCharacters } from 'node:util'

/** Text of others as it may be printed: nothing in it moves the cursor or colours what follows. */
export function printable(text: string): string {
  // What is left of control characters but newline and tab is shown as a mark.
  return stripVTControlCharacters(text).replaceAll(/(?![\n\t])\p{Cc}/gu, '\u{FFFD}')
}

/** Columns under their titles, two spaces apart; nothing to show gives the sentence `none`. */
export function formatTable(
  titles: readonly string[],
  rows: readonly (readonly string[])[],
  none: string,
): string {
  if (rows.length === 0) return none
  const cells = [
    titles,
    ...rows.map((row) => row.map((cell) => printable(cell).replaceAll('\n', ' '))),
  ]
  const widths = titles.map((_, column) =>
    Math.max(...cells.map((row) => (row[column] ?? '').length)),
  )
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Names and values below one another. */
export function formatFields(fields: readonly (readonly [string, string | null])[]): string {
  const shown = fields.filter(([, value]) => value !== null)
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${printable(value ?? '')}`).join('\n')
}

/** How long ago a time is: `just now`, `5 min ago`, `3 h ago`, `2 d ago`; the date when it is over a month. */
export function formatAgo(time: string | null, now: number): string {
  if (time === null) return 'never'
  const seconds = (now - Date.parse(time)) / 1000
  if (seconds < 10) return 'just now'
  if (seconds < 60) return `${Math.floor(seconds)} s ago`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`
  return seconds < 31 * 86_400 ? `${Math.floor(seconds / 86_400)} d ago` : time.slice(0, 10)
}

export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  return `${minutes} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** Bytes in powers of 1024. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export function formatCommit(commit: { sha: string; message: string | null }): string {
  const [subject = ''] = (commit.message ?? '').split('\n')
  const short = subject.length > 50 ? `${subject.slice(0, 49)}…` : subject
  return `${commit.sha.slice(0, 7)} ${printable(short)}`.trimEnd()
}
