import { CONFIG_KEYS } from './config-keys.ts'

const PREFIX = 'NANOSCALE_'

/** Names with our prefix that are not settings of the server: they are read elsewhere, or set by ourselves. */
const OTHER_NAMES: readonly string[] = [
  // The command line as a client of another machine.
  'NANOSCALE_URL',
  'NANOSCALE_TOKEN',
  // What the spawner marks processes with.
  'NANOSCALE_UNIT',
  'NANOSCALE_TEST_POSTGRES_URL',
]

interface NameCheck {
  /** Set by Kubernetes or Docker for a service that is called "nanoscale": not meant for us. */
  injected: string[]
  unknown: { name: string; problem: string }[]
}

/** A misspelt name would leave a default in force that the operator believes to have changed. */
export function checkNames(env: Readonly<Record<string, string | undefined>>): NameCheck {
  const known = Object.values(CONFIG_KEYS).map((key): string => key.env)
  const result: NameCheck = { injected: [], unknown: [] }
  for (const [name, value] of Object.entries(env)) {
    if (!name.toUpperCase().startsWith(PREFIX) || value === undefined) continue
    if (isInjected(name, value)) result.injected.push(name)
    else if (!known.includes(name) && !OTHER_NAMES.includes(name)) {
      result.unknown.push({ name, problem: `is not a known setting${suggestion(name, known)}` })
    }
  }
  return result
}

function isInjected(name: string, value: string): boolean {
  if (/^(?:tcp|udp|sctp):\/\//.test(value) && name.endsWith('_PORT')) return true
  return (
    /^NANOSCALE_(?:[A-Z0-9_]+_)?SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$/.test(name) ||
    /^NANOSCALE_(?:[A-Z0-9_]+_)?PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/.test(name)
  )
}

function suggestion(name: string, known: readonly string[]): string {
  const wanted = name.toUpperCase()
  const nearest = known
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate) }))
    .toSorted((a, b) => a.distance - b.distance)[0]
  // Beyond a third of the letters it is a guess that sends people the wrong way.
  const limit = Math.ceil((wanted.length - PREFIX.length) / 3)
  return nearest !== undefined && nearest.distance <= limit
    ? `: did you mean ${nearest.candidate}?`
    : ': `nanoscale config` lists them all'
}

/** Levenshtein: the fewest insertions, deletions and replacements between two words. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const current = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[to.length] ?? 0
}
