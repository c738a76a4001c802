import { OperationError } from '../lib/errors.ts'
import type { RepositoryUrl } from './repository-url.ts'

/** What git's complaint means for us. `transient` ones may pass by themselves. */
interface Failure {
  code:
    | 'source.unreachable'
    | 'source.not_found'
    | 'source.refused'
    | 'source.damaged'
    | 'source.no_space'
  reason: string
}

/** In order: the first that fits decides. `$1` is what the first group matched. */
const FAILURES: readonly (readonly [RegExp, Failure['code'], string])[] = [
  [
    /[Oo]ut of memory|(?:malloc|realloc|calloc|mmap) failed/,
    'source.refused',
    'git needs more memory for its answer than it may use',
  ],
  [/File too large|died of signal 25/, 'source.refused', 'it is larger than a mirror may be'],
  [
    /No space left on device|Disk quota exceeded/,
    'source.no_space',
    'the disk of this machine is full',
  ],
  [
    /repository '.*' not found|returned error: 404/,
    'source.not_found',
    'there is no such repository',
  ],
  [
    /could not read (?:Username|Password)|terminal prompts disabled|Authentication failed|returned error: 401/,
    'source.refused',
    'the host asks for a credential: the repository is private, or does not exist',
  ],
  [/returned error: 403/, 'source.refused', 'the host refuses access'],
  [
    /returned error: (30\d)|redirect/i,
    'source.refused',
    'the host answers with a redirect, which is not followed; use the address that it leads to',
  ],
  [
    /transport '.*' not allowed|credentials/,
    'source.refused',
    'this kind of address is not allowed',
  ],
  [
    /fsck error|hasDotgit|unpack-objects abnormal|index-pack failed.*fsck/s,
    'source.refused',
    'it contains objects that git refuses as unsafe',
  ],
  [
    /SSL certificate|certificate|gnutls|SSL_/i,
    'source.refused',
    "the host's certificate is not valid",
  ],
  [
    /not our ref|couldn't find remote ref|no such remote ref|does not allow request/i,
    'source.not_found',
    'the host no longer has that commit or branch',
  ],
  [/returned error: (\d{3})/, 'source.unreachable', 'the host answered with the status $1'],
  [/Could not resolve host/, 'source.unreachable', 'the host name cannot be resolved'],
  [
    /Failed to connect|Connection refused|Couldn't connect|Connection timed out/i,
    'source.unreachable',
    'no connection could be made',
  ],
  [/Operation too slow|timed out/i, 'source.unreachable', 'the host answers too slowly'],
  [
    /Empty reply|early EOF|hung up|unexpected disconnect|transfer closed|RPC failed|premature|invalid index-pack output|Recv failure|Connection reset|bad pack|inflate|pack has (?<!pack has )bad object|curl \d+/i,
    'source.unreachable',
    'the connection broke off',
  ],
]

/** A mirror of ours is unfinished or damaged, so that a new one should be made. */
const DAMAGE =
  /\.lock': File exists|Another git process|not a git repository|loose object .* corrupt|packfile .* (?:cannot be|corrupt)|(?<!pack has )bad object|missing (?:blob|tree|commit)|unable to read (?:tree|sha1)|Could not read [0-9a-f]{40}|shallow file has changed/i

/** The error for a failed call of git, in our words: what git prints is the host's say and stays out of it. */
export function gitFailure(repository: RepositoryUrl, stderr: string): OperationError {
  if (DAMAGE.test(stderr)) return sourceError('source.damaged', repository, lastLine(stderr))
  for (const [pattern, code, reason] of FAILURES) {
    const match = pattern.exec(stderr)
    if (match) return sourceError(code, repository, reason.replace('$1', match[1] ?? ''))
  }
  return sourceError('source.unreachable', repository, `git failed: ${lastLine(stderr)}`)
}

/** The error for a check-out that failed. git does not say why a file could not be written: the disk is the reason. */
export function checkOutFailure(sha: string, stderr: string): OperationError {
  const isFull = /No space left on device|Disk quota exceeded|unable to write file/.test(stderr)
  return new OperationError(
    isFull ? 'source.no_space' : 'source.check_out_failed',
    `Cannot write the files of ${sha}: ${isFull ? 'the disk of this machine is full' : lastLine(stderr)}`,
  )
}

export function sourceError(
  code: Failure['code'],
  repository: Pick<RepositoryUrl, 'url'>,
  reason: string,
  cause?: unknown,
): OperationError {
  return new OperationError(code, `Cannot read "${repository.url}": ${reason}`, { cause })
}

/** The end of what git said, on one line and without control characters. */
function lastLine(stderr: string): string {
  const line = stderr.trim().split('\n').at(-1) ?? ''
  return line.replace(/[\p{Cc}\p{Cf}]/gu, '').slice(0, 200) || 'it gave no reason'
}
