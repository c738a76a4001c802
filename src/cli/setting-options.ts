import { InvalidArgumentError, type Command } from 'commander'

/** Settings of a project as options; an empty value takes a setting back. */
export interface SettingOptions {
  rootDirectory?: string
  install?: string
  build?: string
  start?: string
  release?: string
  output?: string
  health?: string
  watch?: string[]
  autoDeploy?: boolean
  poll?: number
}

export function withSettings(command: Command): Command {
  return command
    .option('--root-directory <path>', 'directory of the repository that the app is in')
    .option('--install <command>', 'install command')
    .option('--build <command>', 'build command')
    .option('--start <command>', 'start command')
    .option('--release <command>', 'runs once before the new version starts, e.g. migrations')
    .option('--output <path>', 'directory that the build leaves the site in')
    .option('--health <path>', 'path that answers when the app is up')
    .option('--watch <path...>', 'deploy only changes that match one of these')
    .option('--auto-deploy', 'deploy each push (default)')
    .option('--no-auto-deploy', 'deploy only when asked')
    .option('--poll <seconds>', 'how often the branch is looked at', parseSeconds)
}

/** The fields of a request for the options that were given. */
export function settingsOf(options: SettingOptions) {
  const text = (field: string, value: string | undefined) =>
    value === undefined ? {} : { [field]: value === '' ? null : value }
  const watch = options.watch?.filter((path) => path !== '')
  return {
    ...text('root_directory', options.rootDirectory),
    ...text('install_command', options.install),
    ...text('build_command', options.build),
    ...text('start_command', options.start),
    ...text('release_command', options.release),
    ...text('output_directory', options.output),
    ...text('health_path', options.health),
    ...(watch === undefined ? {} : { watch_paths: watch.length === 0 ? null : watch }),
    ...(options.autoDeploy === undefined ? {} : { auto_deploy: options.autoDeploy }),
    ...(options.poll === undefined ? {} : { poll_interval_seconds: options.poll }),
  }
}

function parseSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('it must be a number of seconds')
}
