/** A JSON log line as a person reads it: time, severity unless it is plain information, message, facts. */
export function formatForPeople(line: string): string {
  const fields = parse(line)
  if (fields === null) return line.trimEnd()
  const { time, level, msg, room, ...facts } = fields
  const at = typeof time === 'string' ? time.slice(11, 19) : ''
  const severity = level === 'info' ? [] : [String(level).toUpperCase()]
  const text = Object.entries(facts).map(([name, value]) => `${name}=${show(value)}`)
  return [at, ...severity, show(room ?? 'nanoscale'), show(msg), ...text].join(' ')
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : null
  } catch {
    return null
  }
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
