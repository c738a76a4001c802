import { Command } from 'commander'

import { loadConfig } from '../../config/config.ts'
import { describeConfig, listSettings } from '../../config/describe-config.ts'

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
  const config = loadConfig(process.env)
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
