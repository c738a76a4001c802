import type { BuildStep } from './build-plan.ts'

/**
 * The whole environment of a step: ours, then the project's build variables byte for byte. Nothing of the platform's
 * own environment, and no token.
 */
export function buildEnvironment(options: {
  step: BuildStep['name']
  /** Absolute path of the workspace. */
  workspace: string
  path: string
  variables: Readonly<Record<string, string>>
}): Record<string, string> {
  const env: Record<string, string> = {
    PATH: options.path,
    HOME: `${options.workspace}/home`,
    TMPDIR: `${options.workspace}/tmp`,
    USER: 'build',
    LOGNAME: 'build',
    LANG: 'C.UTF-8',
    CI: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    ...options.variables,
  }
  // With `production` package managers leave out what builds need.
  if (options.step === 'install') delete env['NODE_ENV']
  return env
}
