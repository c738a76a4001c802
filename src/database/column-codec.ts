import type {
  KyselyPlugin,
  PluginTransformQueryArgs,
  PluginTransformResultArgs,
  QueryResult,
  RootOperationNode,
  UnknownRow,
} from 'kysely'

/** Columns that hold JSON text. A column name means the same in every table. */
const JSON_COLUMNS = new Set([
  'watch_paths',
  'plan',
  'use_cases',
  'observability_stack',
  'project_ids',
  'scopes',
  'facts',
  'config',
  'permissions',
  'events',
  'details',
])

/** Columns that are 0 or 1 on SQLite. */
const BOOLEAN_COLUMNS = new Set([
  'auto_deploy',
  'rebuild',
  'email_verified',
  'two_factor_enabled',
  'verified',
  'deleted',
  'is_private',
  'archived',
  'disabled',
  'permission_admin',
  'permission_push',
  'permission_pull',
  'active',
  'handled',
])

/** What both drivers are given for a parameter: JSON as text, and on SQLite a boolean as 0 or 1. */
export function encodeParameter(value: unknown, engine: 'sqlite' | 'postgres'): unknown {
  if (value === undefined) throw new TypeError('Cannot bind undefined: use null')
  if (engine === 'sqlite' && typeof value === 'boolean') return value ? 1 : 0
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    if (value instanceof Date) throw new TypeError('Cannot bind a Date: use toIsoTime()')
    return JSON.stringify(value)
  }
  return value
}

/** Gives rows back with booleans and JSON values, whatever the engine stores. */
export const columnCodec: KyselyPlugin = {
  transformQuery: (args: PluginTransformQueryArgs): RootOperationNode => args.node,
  transformResult: (args: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> =>
    Promise.resolve({ ...args.result, rows: args.result.rows.map(decodeRow) }),
}

function decodeRow(row: UnknownRow): UnknownRow {
  const decoded: UnknownRow = {}
  for (const [column, value] of Object.entries(row)) decoded[column] = decode(column, value)
  return decoded
}

function decode(column: string, value: unknown): unknown {
  if (JSON_COLUMNS.has(column) && typeof value === 'string') return JSON.parse(value)
  if (BOOLEAN_COLUMNS.has(column) && typeof value === 'number') return value === 1
  return value
}
