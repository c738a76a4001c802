import { join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

export interface PlatformProcess {
  name: 'control' | 'traffic'
  argv: readonly [string, ...string[]]
  env: Readonly<Record<string, string>>
}

/**
 * Small young generations and a bounded heap: what keeps the platform small on a server of 1 GB. Measured with
 * `bench/footprint.ts`, idle after a deployment: control 104 MB RSS, traffic 84. Flags such as --optimize-for-size and
 * --max-lazy also change the key of the compile cache: whatever is tried needs a second start before it is compared.
 */
const NODE_FLAGS = {
  control: ['--max-semi-space-size=2', '--max-old-space-size=192'],
  traffic: ['--max-semi-space-size=4', '--max-old-space-size=128'],
} as const

/** What the processes may learn from the environment of `nanoscale start` besides the settings. */
const PASSED_ON =
  /^(NANOSCALE_.*|PATH|LANG|LC_.*|TZ|TMPDIR|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|(https?|no|all)_proxy)$/i

/**
 * How control and traffic are started. The data directory is named, because its default depends on the user. Run from
 * a copy, they use the copied Node too: the one that runs us may lie below a closed directory.
 */
export function describeProcesses(options: {
  dataDirectory: string
  program: string
  isCopy: boolean
  nodePath: string
  env: Environment
}): Record<PlatformProcess['name'], PlatformProcess> {
  const { dataDirectory, program } = options
  const node = options.isCopy ? join(dataDirectory, 'toolchain', 'bin', 'node') : options.nodePath
  const env = {
    ...passedOn(options.env),
    HOME: dataDirectory,
    NANOSCALE_DATA_DIR: dataDirectory,
    // Private to the platform's user: a cache that others may write to is code that they may run.
    NODE_COMPILE_CACHE: join(dataDirectory, 'run', 'compile-cache'),
  }
  const describe = (name: PlatformProcess['name']): PlatformProcess => ({
    name,
    argv: [node, ...NODE_FLAGS[name], join(program, 'src', 'main.ts'), name],
    env,
  })
  return { control: describe('control'), traffic: describe('traffic') }
}

function passedOn(env: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && PASSED_ON.test(entry[0]),
    ),
  )
}
