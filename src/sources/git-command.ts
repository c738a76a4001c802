import { isIP } from 'node:net'

import { OperationError } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { RepositoryUrl } from './repository-url.ts'

/** A git call as data. */
export interface GitCommand {
  argv: readonly [string, ...string[]]
  env: Readonly<Record<string, string>>
  /** The credential, for git's helper alone. */
  stdin?: string
}

/** Who we are to one host: `origin` is where it may be sent, and nowhere else. */
export interface GitCredential {
  origin: string
  username: string
  password: Secret
}

export interface GitCall {
  /** The bare repository, absolute; null for calls that need none. */
  gitDirectory: string | null
  args: readonly string[]
  /** Where it connects to; without it every protocol is closed. */
  remote?: GitRemote
  /** For a check-out: both absolute, in the workspace. */
  indexFile?: string
  workTree?: string
}

/** A repository together with the addresses that the guard allowed. */
export interface GitRemote {
  repository: RepositoryUrl
  addresses: readonly string[]
  credential: GitCredential | null
}

/**
 * Moves the input to where git hands it down to its helper. Nothing of a credential is an argument, in the environment or
 * in a file: it is a pipe that can be read once, by processes of this account.
 */
const WITH_CREDENTIAL = 'exec 3<&0 </dev/null; exec git "$@"'
const CREDENTIAL_HELPER = '!f() { test "$1" = get && cat <&3; }; f'

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin'

type Setting = readonly [name: string, value: string]

/** Holds for every call: nothing of the machine's, the repository's or a hook's say. */
const SETTINGS: readonly Setting[] = [
  ['protocol.allow', 'never'],
  ['protocol.version', '2'],
  ['credential.helper', ''],
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['core.protectHFS', 'true'],
  ['core.protectNTFS', 'true'],
  ['core.sharedRepository', 'group'],
  ['core.bigFileThreshold', '32m'],
  ['safe.bareRepository', 'explicit'],
  ['transfer.fsckObjects', 'true'],
  ['transfer.credentialsInUrl', 'die'],
  ['transfer.unpackLimit', '1'],
  ['fetch.recurseSubmodules', 'false'],
  ['submodule.recurse', 'false'],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['http.followRedirects', 'false'],
  ['http.lowSpeedLimit', '1000'],
  ['http.lowSpeedTime', '30'],
  ['pack.threads', '1'],
  ['pack.windowMemory', '64m'],
  ['pack.deltaCacheSize', '32m'],
  ['core.deltaBaseCacheLimit', '32m'],
]

/** Blemishes of old histories that harm nobody; without these, many an honest repository could not be fetched. */
const BENIGN_FINDINGS = [
  'zeroPaddedFilemode',
  'zeroPaddedDate',
  'badTimezone',
  'badDate',
  'badDateOverflow',
  'badEmail',
  'badName',
  'missingEmail',
  'missingNameBeforeEmail',
  'missingSpaceBeforeEmail',
  'missingSpaceBeforeDate',
  'multipleAuthors',
  'missingTaggerEntry',
  'badTagName',
]

/** Builds a call of git: its whole environment and configuration, nothing inherited; a credential only beside them. */
export function gitCommand(call: GitCall): GitCommand {
  const settings = [
    ...SETTINGS,
    ...BENIGN_FINDINGS.map((id): Setting => [`fetch.fsck.${id}`, 'warn']),
    ...(call.gitDirectory === null ? [] : [['safe.directory', call.gitDirectory] as const]),
    ...(call.remote === undefined ? [] : remoteSettings(call.remote)),
  ]
  const env: Record<string, string> = {
    PATH: SYSTEM_PATH,
    // git's HTTP library would read ~/.netrc.
    HOME: '/nonexistent',
    LANG: 'C.UTF-8',
    LC_MESSAGES: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_LITERAL_PATHSPECS: '1',
    GIT_ALLOW_PROTOCOL: protocolsOf(call.remote),
    GIT_CONFIG_COUNT: String(settings.length),
  }
  for (const [index, [name, value]] of settings.entries()) {
    env[`GIT_CONFIG_KEY_${index}`] = name
    env[`GIT_CONFIG_VALUE_${index}`] = value
  }
  if (call.gitDirectory !== null) env['GIT_DIR'] = call.gitDirectory
  if (call.indexFile !== undefined) env['GIT_INDEX_FILE'] = call.indexFile
  if (call.workTree !== undefined) env['GIT_WORK_TREE'] = call.workTree
  const credential = call.remote?.credential ?? null
  if (credential === null) return { argv: ['git', ...call.args], env }
  return {
    argv: ['sh', '-c', WITH_CREDENTIAL, 'git', ...call.args],
    env,
    stdin: `username=${credential.username}\npassword=${credential.password.reveal()}\n`,
  }
}

/** Returns an object id unchanged: 40 or 64 lower-case hex digits, nothing shorter and no name. Throws `source.invalid_sha`. */
export function requireObjectId(sha: string): string {
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha)) return sha
  throw new OperationError(
    'source.invalid_sha',
    `Cannot use "${sha.slice(0, 80)}" as a commit: it is no full id of 40 or 64 lower-case hex digits`,
  )
}

function protocolsOf(remote: GitRemote | undefined): string {
  if (remote === undefined) return 'none'
  return remote.repository.protocol === 'http:' ? 'http:https' : 'https'
}

function remoteSettings({ repository, addresses, credential }: GitRemote): readonly Setting[] {
  const settings: Setting[] = [['protocol.https.allow', 'always']]
  if (repository.protocol === 'http:') settings.push(['protocol.http.allow', 'always'])
  if (isIP(repository.hostname) === 0) {
    const list = addresses.map((address) => (isIP(address) === 6 ? `[${address}]` : address))
    const pin = `${repository.hostname}:${repository.port}:${list.join(',')}`
    settings.push(['http.curloptResolve', pin])
  }
  // After the empty one of all calls, which ends the list of helpers before it.
  if (credential !== null) {
    settings.push([`credential.${credential.origin}.helper`, CREDENTIAL_HELPER])
  }
  return settings
}
