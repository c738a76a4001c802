/**
 * A PostgreSQL server for the tests of one process, run as a program of its own: `_postgres-server.ts <directory> <uid>`.
 * It ends with the process that started it, however that dies: the end of its standard input is the signal.
 * Prints one line when the server accepts connections; its directory is gone when it has exited.
 */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const [directory = '', uidText = ''] = process.argv.slice(2)
const uid = Number(uidText)
const identity = process.getuid?.() === 0 ? { uid, gid: uid } : {}
const binary = (name: string) => join(directory, 'native', 'bin', name)
const socketDirectory = join(directory, 'socket')

for (const path of [socketDirectory, join(directory, 'data')]) {
  mkdirSync(path, { mode: 0o700 })
  if (identity.uid !== undefined) chownSync(path, identity.uid, identity.gid)
}
// A control plane under another user connects too; trust is the whole authentication here.
for (const path of [directory, socketDirectory]) chmodSync(path, 0o755)

const initialised = spawnSync(
  binary('initdb'),
  [
    `--pgdata=${join(directory, 'data')}`,
    '--username=postgres',
    '--auth=trust',
    '--encoding=UTF8',
    // An ordering that is not by bytes, as most servers have it: parity must not depend on the server's locale.
    '--locale-provider=icu',
    '--icu-locale=en-US',
    '--locale=C',
    '--no-sync',
  ],
  { ...identity, cwd: directory, env: { TZ: 'UTC' }, encoding: 'utf8' },
)
if (initialised.status !== 0) {
  process.stderr.write(`initdb: ${initialised.stderr}${String(initialised.error ?? '')}\n`)
  end(1)
}

const settings = {
  listen_addresses: '',
  unix_socket_directories: socketDirectory,
  fsync: 'off',
  full_page_writes: 'off',
  max_connections: '200',
  shared_buffers: '16MB',
  autovacuum: 'off',
}
const server = spawn(
  binary('postgres'),
  [
    '-D',
    join(directory, 'data'),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ],
  { ...identity, cwd: directory, env: { TZ: 'UTC' }, stdio: ['ignore', 'ignore', 'pipe'] },
)
// The last lines only, for the message when it ends by itself.
let output = ''
server.stderr.setEncoding('utf8').on('data', (chunk: string) => {
  output = (output + chunk).slice(-4000)
  if (chunk.includes('ready to accept connections')) process.stdout.write('ready\n')
})
server.once('exit', (code) => {
  if (code !== 0) process.stderr.write(`postgres ended with ${String(code)}: ${output}\n`)
  end(code ?? 1)
})

process.stdin.once('end', stop).once('error', stop).resume()
process.once('SIGTERM', stop)
process.once('SIGINT', stop)

/** Immediate shutdown: nothing of it is kept, but its shared memory is given back. */
function stop(): void {
  server.kill('SIGQUIT')
}

function end(code: number): never {
  rmSync(directory, { recursive: true, force: true })
  process.exit(code)
}
