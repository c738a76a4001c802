import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'

import { z } from 'zod'

import { CliError } from '../cli-error.ts'

/** Test code, which the packaged program does not have: a program of its own, not imported. */
const PROGRAM = path.resolve(import.meta.dirname, '../../../test/fake-github/cli.ts')
const START_TIMEOUT_MS = 20_000
const END_TIMEOUT_MS = 10_000

const facts = z.object({
  webUrl: z.string(),
  apiUrl: z.string(),
  app: z.object({
    id: z.number(),
    slug: z.string(),
    clientId: z.string(),
    clientSecret: z.string(),
    privateKey: z.string(),
    webhookSecret: z.string(),
  }),
  installation: z.object({ id: z.number() }),
  tokens: z.object({ ada: z.string() }),
})

/** A GitHub of its own, with Ada, her organization `acme`, its repositories, and an App that is installed there. */
export type StandIn = z.output<typeof facts> & AsyncDisposable

/** Throws a `CliError` where the program came without its tests. */
export function requireStandIn(program = PROGRAM): void {
  if (existsSync(program)) return
  throw new CliError(
    1,
    'Cannot show GitHub here: its stand-in is not part of the packaged program',
    'Run "npm run demo -- --github" in a checkout of the repository',
  )
}

/** Starts the stand-in of GitHub; its App sends people and deliveries to the NanoScale at `baseUrl`. */
export async function startStandIn(options: {
  directory: string
  baseUrl: string
  signal: AbortSignal
}): Promise<StandIn> {
  const { directory, baseUrl, signal } = options
  await mkdir(directory)
  const github = `${baseUrl}/api/integrations/github`
  const argv = ['--json', '--webhook', `${github}/webhook`, '--callback', `${github}/callback`]
  const child = spawn(process.execPath, [PROGRAM, ...argv], {
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', TMPDIR: directory },
    // A session of its own: Ctrl-C is for the demo, which then ends it in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const complaints = text(child.stderr)
  const started = new AbortController()
  try {
    const lines = createInterface({ input: child.stdout })
    const deadline = AbortSignal.any([
      signal,
      started.signal,
      AbortSignal.timeout(START_TIMEOUT_MS),
    ])
    const answer = await Promise.race([
      once(lines, 'line', { signal: deadline }) as Promise<[string]>,
      once(child, 'exit', { signal: deadline }).then(() => null),
    ])
    if (answer === null) {
      throw new Error(`Cannot start the stand-in of GitHub: ${await complaints}`)
    }
    const [line] = answer
    return { ...facts.parse(JSON.parse(line)), [Symbol.asyncDispose]: () => end(child) }
  } catch (error) {
    await end(child)
    throw error
  } finally {
    started.abort()
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS)
  await ended
  clearTimeout(late)
}
