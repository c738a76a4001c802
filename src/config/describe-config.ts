import { REDACTED } from '../lib/secret.ts'
import { CONFIG_KEYS } from './config-keys.ts'
import type { Config, Environment } from './config.ts'

interface SettingLine {
  name: string
  value: string
  isSet: boolean
  doc: string
}

/** Every setting with the value in force; what is secret is not shown. */
export function listSettings(config: Config, env: Environment): SettingLine[] {
  return Object.entries(CONFIG_KEYS).map(([field, key]) => {
    const isSet = (env[key.env] ?? '').trim() !== '' && !config.ignoredNames.includes(key.env)
    const value: unknown = config[field as keyof typeof CONFIG_KEYS]
    return { name: key.env, value: printValue(value, key.secret === true), isSet, doc: key.doc }
  })
}

/** `docs/configuration.md`, from the definitions alone. */
export function describeConfig(): string {
  const sections = Object.values(CONFIG_KEYS).map((key) => {
    const byDefault = key.defaultDoc ?? `\`${printValue(key.default, false)}\``
    return `### \`${key.env}\`\n\n${key.doc}\n\nDefault: ${byDefault}. Example: \`${key.example}\`\n`
  })
  return `${INTRODUCTION}\n${sections.join('\n')}`
}

const INTRODUCTION = `# Configuration

This page is made by \`nanoscale config --markdown\` from the definitions in \`src/config/config-keys.ts\`.

NanoScale is configured by environment variables, and needs none of them. \`nanoscale config\` prints the values in
force, \`nanoscale config --check\` only tells whether they are valid, and \`nanoscale doctor\` looks at what they lead to.

- An empty value counts as not set.
- A wrong value, two values that contradict each other, or an unknown name that begins with \`NANOSCALE_\` stop the
  start. The message names all of them at once.
- Names that Kubernetes or Docker set for a service called "nanoscale" (\`NANOSCALE_PORT=tcp://…\`,
  \`NANOSCALE_SERVICE_HOST\`) are recognised, ignored, and reported by the doctor.

The keyring: every stored secret is sealed with a key that is not in the database. By default that key is made at the
first start, in \`keys/keyring\` of the data directory, readable by NanoScale alone. Keep a copy of it apart from the
backups of the database: without it the stored secrets are lost, and with both anybody can read them.
\`nanoscale keys rotate\` seals everything with a new key while NanoScale runs, \`nanoscale keys retire <id>\` then takes
the old one out of use. With \`NANOSCALE_ENCRYPTION_KEYS\` you put the new key first yourself, restart, and rotate.

## Settings
`

function printValue(value: unknown, isSecret: boolean): string {
  if (value === null || value === undefined) return ''
  if (isSecret) return REDACTED
  if (typeof value === 'boolean') return value ? '1' : '0'
  if (Array.isArray(value)) return value.join(', ')
  if (typeof value === 'object') return printDatabase(value as Config['database'])
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function printDatabase(database: Config['database']): string {
  if (database.engine === 'sqlite') return `sqlite:${database.path}`
  const url = URL.parse(database.url)
  if (url === null) return REDACTED
  // It may also stand in the query, which has nothing else that one must see.
  const password = url.password === '' ? '' : `:${REDACTED}`
  return `postgres://${url.username}${password}@${url.host}${url.pathname}`
}
