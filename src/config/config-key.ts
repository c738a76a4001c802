import type { Parse } from './config-values.ts'

/** All that is known about one setting: it is read, checked, printed and documented from here. */
export interface ConfigKey<Value> {
  env: `NANOSCALE_${string}`
  doc: string
  parse: Parse<Value>
  /** Null when the default follows from other settings; `defaultDoc` then says how. */
  default: Value | null
  defaultDoc?: string
  example: string
  /** Its value is never printed. */
  secret?: true
}

export function key<Value>(definition: ConfigKey<Value>): ConfigKey<Value> {
  return definition
}
