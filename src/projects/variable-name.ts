const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/** The platform gives these, or they change which program runs instead of what it does. */
const RESERVED = new Set([
  'PORT',
  'HOST',
  'DATA_DIR',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'PATH',
  'BASH_ENV',
  'ENV',
  'IFS',
  'NODE_OPTIONS',
])
const RESERVED_PREFIXES = ['NANOSCALE_', 'LD_', 'DYLD_', 'GIT_']

/** Why a variable cannot have this name, in a phrase; null when it can. */
export function reasonAgainstVariableName(name: string): string | null {
  if (name.length > 128) return 'a name has at most 128 characters'
  if (!NAME.test(name)) {
    return 'a name is letters, digits and underscores, and does not begin with a digit'
  }
  const upper = name.toUpperCase()
  if (RESERVED.has(upper)) return `"${name}" is reserved for the platform`
  const prefix = RESERVED_PREFIXES.find((candidate) => upper.startsWith(candidate))
  return prefix === undefined ? null : `names that begin with "${prefix}" are reserved`
}
