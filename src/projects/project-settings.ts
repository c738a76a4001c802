import { OperationError } from '../lib/errors.ts'

/** What a person decides about a project. Null leaves the choice to `nanoscale.json` or to detection. */
export interface ProjectSettings {
  root_directory: string | null
  install_command: string | null
  build_command: string | null
  start_command: string | null
  release_command: string | null
  output_directory: string | null
  health_path: string | null
  watch_paths: string[] | null
  auto_deploy: boolean
  poll_interval_seconds: number
}

export const DEFAULT_SETTINGS: Omit<ProjectSettings, 'poll_interval_seconds'> = {
  root_directory: null,
  install_command: null,
  build_command: null,
  start_command: null,
  release_command: null,
  output_directory: null,
  health_path: null,
  watch_paths: null,
  auto_deploy: true,
}

const COMMANDS = ['install_command', 'build_command', 'start_command', 'release_command'] as const
const DIRECTORIES = ['root_directory', 'output_directory'] as const

/** Throws `project.invalid_settings` that names each field which cannot be. Fields that are not given are not checked. */
export function checkSettings(settings: Partial<ProjectSettings>): void {
  const details: Record<string, string[]> = {}
  const refuse = (field: string, reason: string | null) => {
    if (reason !== null) details[field] = [reason]
  }
  for (const field of COMMANDS) refuse(field, reasonAgainstLine(settings[field]))
  for (const field of DIRECTORIES) refuse(field, reasonAgainstPath(settings[field]))
  refuse('health_path', reasonAgainstHealthPath(settings.health_path))
  for (const pattern of settings.watch_paths ?? []) {
    refuse('watch_paths', reasonAgainstGlob(pattern))
  }
  const [first] = Object.entries(details)
  if (first === undefined) return
  throw new OperationError(
    'project.invalid_settings',
    `Cannot use ${first[0]}: ${first[1].join(', ')}`,
    { details },
  )
}

function reasonAgainstLine(value: string | null | undefined): string | null {
  if (value === null || value === undefined) return null
  return hasControlCharacter(value) ? 'it must be one line without control characters' : null
}

/** Compared with the paths of a change, and never opened: `../shared/**` names a neighbour of the app. */
function reasonAgainstGlob(value: string): string | null {
  return /^!?[^\\\p{Cc}]{1,1024}$/u.test(value) ? null : 'it must be a glob such as "src/**"'
}

/** A path inside the repository: never absolute, never upwards, never encoded. */
function reasonAgainstPath(value: string | null | undefined): string | null {
  if (value === null || value === undefined) return null
  if (hasControlCharacter(value)) return 'it must not have control characters'
  if (value.startsWith('/') || value.includes('\\')) return 'it must be relative to the repository'
  if (/%2e|%2f|%5c/i.test(value)) return 'it must not be percent-encoded'
  if (value.split('/').includes('..')) return 'it must stay inside the repository'
  return null
}

function reasonAgainstHealthPath(value: string | null | undefined): string | null {
  if (value === null || value === undefined) return null
  if (!value.startsWith('/') || value.startsWith('//')) return 'it must begin with one "/"'
  return /[\s#]/.test(value) || hasControlCharacter(value) ? 'it must be a path of a URL' : null
}

function hasControlCharacter(value: string): boolean {
  return /\p{Cc}/u.test(value)
}
