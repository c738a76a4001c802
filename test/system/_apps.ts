import { readFileSync } from 'node:fs'
import path from 'node:path'

/** The files of a repository. */
export type Files = Record<string, string>

const SERVER = readFileSync(path.join(import.meta.dirname, '_app-server.ts'), 'utf8')

/** An app without dependencies that answers `version`; its build waits `buildMs` first. */
export function testApp(options: {
  version: string
  buildMs?: number
  /** Program of the release command, run by Node. */
  release?: string
  /** Instead of the server that behaves well. */
  server?: string
  /** Instead of the build that behaves well. */
  build?: string
}): Files {
  return {
    'package.json': JSON.stringify({
      name: 'app',
      version: '1.0.0',
      private: true,
      scripts: { build: 'node build.js', start: 'node server.js' },
    }),
    'nanoscale.json': JSON.stringify({
      start: ['node', 'server.js'],
      build: ['node', 'build.js'],
      healthPath: '/health',
      ...(options.release === undefined ? {} : { release: ['node', 'release.js'] }),
    }),
    'build.js':
      options.build ??
      `setTimeout(() => require('node:fs').writeFileSync('built.txt', 'yes'), ${options.buildMs ?? 0})\n`,
    'server.js': options.server ?? `import './app.ts'\n`,
    'app.ts': SERVER,
    'version.txt': options.version,
    ...(options.release === undefined ? {} : { 'release.js': options.release }),
  }
}

/** Notes each run of the release command in the directory that the project keeps. */
export const NOTING_RELEASE = `
const fs = require('node:fs')
fs.appendFileSync(process.env.DATA_DIR + '/released.txt', (process.env.NANOSCALE_DEPLOYMENT_ID ?? fs.readFileSync("version.txt", "utf8")) + '\\n')
`
