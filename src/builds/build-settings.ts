import { OperationError } from '../lib/errors.ts'
import type { RepositoryFacts } from '../sources/repository-facts.ts'
import type { Argv } from './build-plan.ts'
import { parseNanoscaleJson, readCommand, readDirectory } from './nanoscale-json.ts'
import type { NanoscaleJson } from './nanoscale-json.ts'

/** What a person set for a project; null leaves the choice to the repository, an empty command leaves its step out. */
export interface BuildSettings {
  root_directory: string | null
  install_command: string | null
  build_command: string | null
  start_command: string | null
  release_command: string | null
  output_directory: string | null
  health_path: string | null
  watch_paths: readonly string[] | null
}

export interface MergedSettings extends NanoscaleJson {
  /** Which of them decide, for people. */
  notes: readonly string[]
}

/** A person's settings over `nanoscale.json`. Throws `build.invalid_configuration` and `build.invalid_settings`. */
export function mergeSettings(facts: RepositoryFacts, settings: BuildSettings): MergedSettings {
  const { configuration } = facts
  const file =
    configuration === null ? {} : parseNanoscaleJson(configuration.path, configuration.text)
  const person: NanoscaleJson = {
    ...optionalCommand('install', settings.install_command),
    ...optionalCommand('build', settings.build_command),
    ...command('start', settings.start_command),
    ...command('release', settings.release_command),
    ...directory(settings.output_directory),
    ...(settings.health_path === null ? {} : { healthPath: settings.health_path }),
    ...(settings.watch_paths === null ? {} : { watchPaths: settings.watch_paths }),
  }
  const notes: string[] = []
  const names = Object.keys(person)
  if (names.length > 0) notes.push(`The project's settings decide ${names.join(', ')}`)
  const kept = Object.keys(file).filter((name) => !names.includes(name))
  if (configuration !== null && kept.length > 0) {
    notes.push(`${configuration.path} decides ${kept.join(', ')}`)
  }
  return { ...file, ...person, notes }
}

function optionalCommand(name: 'install' | 'build', line: string | null) {
  if (line === null) return {}
  return { [name]: line.trim() === '' ? null : parse(name, line) }
}

function command(name: 'start' | 'release', line: string | null) {
  return line === null || line.trim() === '' ? {} : { [name]: parse(name, line) }
}

function parse(name: string, line: string): Argv {
  const read = readCommand(line)
  if ('value' in read) return read.value
  throw invalid(`${name}_command`, read.reason)
}

function directory(path: string | null) {
  if (path === null || path === '') return {}
  const read = readDirectory(path)
  if ('value' in read) return { outputDirectory: read.value }
  throw invalid('output_directory', read.reason)
}

function invalid(field: string, reason: string): OperationError {
  const sentence = `Cannot use the project's ${field}: it ${reason}`
  return new OperationError('build.invalid_settings', sentence, { details: { [field]: [reason] } })
}
