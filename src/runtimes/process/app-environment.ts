import { delimiter } from 'node:path'

const SYSTEM_PATH = ['/usr/local/bin', '/usr/bin', '/bin']

/** The platform's to say: what listens elsewhere is never found, and what writes elsewhere loses its data. */
const RESERVED = new Set(['PORT', 'HOST', 'DATA_DIR'])

/**
 * The whole environment of an app; nothing of ours is inherited. An app's own variables may override HOME, USER,
 * LOGNAME, PATH and NODE_ENV, but not PORT, HOST, DATA_DIR and NANOSCALE_*, which are dropped without complaint: the
 * same variables must work on other platforms too.
 */
export function appEnvironment(facts: {
  own: Readonly<Record<string, string>>
  /** Directory of node and npm, first in PATH. */
  toolchainPath: string
  /** The directory that the app keeps across releases. */
  dataPath: string
  userName: string
  port: number
}): Record<string, string> {
  const own = Object.entries(facts.own).filter(
    ([name]) => !RESERVED.has(name) && !name.startsWith('NANOSCALE_'),
  )
  return {
    PATH: [facts.toolchainPath, ...SYSTEM_PATH].join(delimiter),
    HOME: facts.dataPath,
    USER: facts.userName,
    LOGNAME: facts.userName,
    NODE_ENV: 'production',
    ...Object.fromEntries(own),
    PORT: String(facts.port),
    HOST: '127.0.0.1',
    DATA_DIR: facts.dataPath,
  }
}
