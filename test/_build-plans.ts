import type { BuildPlan } from '../src/builds/build-plan.ts'
import type { BuildSettings } from '../src/builds/build-settings.ts'

/** Nothing is set by a person: the repository decides. */
export const NO_SETTINGS: BuildSettings = {
  root_directory: null,
  install_command: null,
  build_command: null,
  start_command: null,
  release_command: null,
  output_directory: null,
  health_path: null,
  watch_paths: null,
}

/** A Node app that nothing is to be done for. */
export const PLAIN_PLAN: BuildPlan = {
  kind: 'node',
  rootDirectory: '.',
  packageManager: null,
  steps: [],
  outputDirectory: '.',
  start: ['node', 'server.js'],
  release: null,
  healthPath: '/',
  singlePageApp: false,
  watchPaths: null,
  explanation: [],
}
