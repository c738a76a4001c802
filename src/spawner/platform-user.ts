import { OperationError } from '../lib/errors.ts'
import { runCommand } from '../lib/run-command.ts'

/** Control and traffic run as this user: what faces the network is never root. */
const NAME = 'nanoscale'

export interface PlatformUser {
  uid: number
  gid: number
}

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

/** The platform's user, made as a system user without login when missing. Throws `start.user_not_made`. */
export async function ensurePlatformUser(dataDirectory: string): Promise<PlatformUser> {
  const known = await findUser()
  if (known !== null) return known
  const reasons: string[] = []
  for (const commands of waysToAdd(dataDirectory)) {
    reasons.push(await runAll(commands))
    const made = await findUser()
    if (made !== null) return made
  }
  throw new OperationError(
    'start.user_not_made',
    `Cannot make the system user "${NAME}": ${reasons.join('; ')}; make it yourself, then start again`,
  )
}

type Argv = readonly [string, ...string[]]

/** First what Debian, Fedora and Arch have, then BusyBox's. */
function waysToAdd(home: string): readonly (readonly Argv[])[] {
  return [
    [
      [
        'useradd',
        '--system',
        '--user-group',
        '--no-create-home',
        '--home-dir',
        home,
        '--shell',
        '/usr/sbin/nologin',
        NAME,
      ],
    ],
    [
      ['addgroup', '-S', NAME],
      ['adduser', '-S', '-D', '-H', '-h', home, '-s', '/sbin/nologin', '-G', NAME, NAME],
    ],
  ]
}

async function runAll(commands: readonly Argv[]): Promise<string> {
  for (const argv of commands) {
    try {
      const { exitCode, stderr } = await runCommand({ argv, env: ENV }, { timeoutMs: 10_000 })
      if (exitCode !== 0) return `${argv[0]}: ${stderr.trim()}`
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }
  return `${commands.at(-1)?.[0]} did not make it`
}

async function findUser(): Promise<PlatformUser | null> {
  const [uid, gid] = await Promise.all([idOf('-u'), idOf('-g')])
  return uid === null || gid === null ? null : { uid, gid }
}

/** Asks the system, not `/etc/passwd`: users may come from a directory service. */
async function idOf(flag: '-u' | '-g'): Promise<number | null> {
  const argv: Argv = ['id', flag, '--', NAME]
  const { exitCode, stdout } = await runCommand({ argv, env: ENV }, { timeoutMs: 10_000 })
  return exitCode === 0 ? Number(stdout.trim()) : null
}
