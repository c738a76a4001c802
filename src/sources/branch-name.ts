import { OperationError } from '../lib/errors.ts'

const MAX_BYTES = 244

/**
 * Returns the name of a branch unchanged when git accepts it (`git check-ref-format`); hostile but valid ones are data
 * that never meets a shell. Throws `source.invalid_branch`.
 */
export function requireBranchName(name: string): string {
  const reason = reasonAgainst(name)
  if (reason === null) return name
  throw new OperationError('source.invalid_branch', `Cannot use this branch name: ${reason}`, {
    details: { branch: [reason] },
  })
}

function reasonAgainst(name: string): string | null {
  if (name === '') return 'it is empty'
  if (Buffer.byteLength(name) > MAX_BYTES) return `it is longer than ${MAX_BYTES} bytes`
  if (!name.isWellFormed()) return 'it is no valid text'
  if (/[ ~^:?*\[\\]|[\p{Cc}--[\u0080-\u009f]]/v.test(name)) {
    return 'it contains a space, a control character or one of ~ ^ : ? * [ \\'
  }
  if (name.startsWith('-')) return 'it begins with "-"'
  if (name === 'HEAD') return 'HEAD is no branch'
  if (name.includes('..') || name.includes('@{')) return 'it contains ".." or "@{"'
  if (name.endsWith('.') || name.endsWith('/') || name.startsWith('/')) {
    return 'it begins or ends with "/", or ends with "."'
  }
  const isBadPart = (part: string) => part === '' || part.startsWith('.') || part.endsWith('.lock')
  return name.split('/').some(isBadPart)
    ? 'one of its parts is empty, begins with "." or ends with ".lock"'
    : null
}
