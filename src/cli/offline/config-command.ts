import { Command } from 'commander'

import { loadConfig, type Config } from '../../config/config.ts'
import { describeConfig, listSettings } from '../../config/describe-config.ts'
import { isOperationError } from '../../lib/errors.ts'

const INVALID = 2

interface ConfigOptions {
  check?: boolean
  markdown?: boolean
  json?: boolean
}

/** `nanoscale config`: the settings in force. A wrong one is refused with exit code 2, naming all of them. */
export function configCommand(): Command {
  return new Command('config')
    .description('Print the settings in force, with what each one means')
    .option('--check', 'only tell whether they are valid')
    .option('--markdown', 'print the documentation of all settings')
    .option('--json', 'print them for a program')
    .action((options: ConfigOptions) => printConfig(options))
}

function printConfig(options: ConfigOptions): void {
  if (options.markdown === true) return void process.stdout.write(describeConfig())
  const config = loadOrReport()
  if (config === null) return
  if (options.check === true) return console.log('The configuration is valid')
  const settings = listSettings(config, process.env)
  if (options.json === true) {
    return console.log(JSON.stringify({ settings, ignoredNames: config.ignoredNames }, null, 2))
  }
  for (const { name, value, isSet, doc } of settings) {
    console.log(`# ${doc}\n${name}=${value}${isSet ? '' : '  (default)'}\n`)
  }
  for (const name of config.ignoredNames) {
    console.log(`# Set by a container platform and ignored: ${name}`)
  }
}

/** Scripts tell wrong settings by the exit code from everything else that can go wrong. */
function loadOrReport(): Config | null {
  try {
    return loadConfig(process.env)
  } catch (error) {
    if (!isOperationError(error, 'config.invalid')) throw error
    console.error(error.message)
    process.exitCode = INVALID
    return null
  }
}
