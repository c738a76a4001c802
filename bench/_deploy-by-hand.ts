import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

import type { BuildPlan } from '../src/builds/build-plan.ts'
import { runCommand } from '../src/lib/run-command.ts'
import { GIT_ENV } from '../test/_git-repository.ts'
import { sendRequest } from '../test/system/_http.ts'

const COMMAND_DEADLINE_MS = 120_000
const HAND_PORT = 18_999

/**
 * Does what the plan says with nothing in between: look at the branch, fetch, check out, install, build, start, until
 * the app answers. With the platform's own Node and npm, so that both do the same work.
 */
export async function deployByHand(
  dataDirectory: string,
  repoUrl: string,
  plan: BuildPlan,
): Promise<Map<string, number>> {
  const home = await mkdtemp(join(dataDirectory, '..', 'by-hand-'))
  const source = join(home, 'source')
  const path = `${join(dataDirectory, 'toolchain', 'bin')}:${process.env['PATH'] ?? ''}`
  const env = {
    PATH: path,
    HOME: home,
    PORT: String(HAND_PORT),
    npm_config_update_notifier: 'false',
  }
  // Whoever does it by hand has a clone already.
  await must(['git', 'init', '--quiet', source], home, GIT_ENV)
  const timing = new Map<string, number>()
  const startedAt = performance.now()
  let last = startedAt
  const lap = (name: string) => {
    const now = performance.now()
    timing.set(name, now - last)
    last = now
  }
  try {
    for (const args of [
      ['ls-remote', '--quiet', repoUrl, 'refs/heads/main'],
      ['fetch', '--quiet', '--depth=1', repoUrl, 'main'],
      ['checkout', '--quiet', 'FETCH_HEAD'],
    ]) {
      await must(['git', ...args], source, GIT_ENV)
    }
    lap('fetching')
    for (const step of plan.steps) await must(step.argv, source, env)
    lap('building')
    if (plan.start !== null)
      await startAndAnswer(plan.start, { source, env, path: plan.healthPath })
    timing.set('all', performance.now() - startedAt)
    return timing
  } finally {
    await rm(home, { recursive: true, force: true })
  }

  async function startAndAnswer(
    [file, ...args]: readonly [string, ...string[]],
    app: { source: string; env: Record<string, string>; path: string },
  ): Promise<void> {
    const child = spawn(file, args, { cwd: app.source, env: app.env, stdio: 'ignore' })
    try {
      await untilAnswered(app.path)
      lap('checking')
    } finally {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
  }
}

async function untilAnswered(path: string): Promise<void> {
  for (const deadline = Date.now() + COMMAND_DEADLINE_MS; Date.now() < deadline; await sleep(2)) {
    const answer = await sendRequest({ port: HAND_PORT, path }).catch(() => null)
    if (answer?.status === 200) return
  }
  throw new Error('The app did not answer')
}

async function must(
  argv: readonly [string, ...string[]],
  cwd: string,
  env: Record<string, string>,
): Promise<void> {
  const { exitCode, stderr } = await runCommand(
    { argv, cwd, env },
    { timeoutMs: COMMAND_DEADLINE_MS },
  )
  if (exitCode !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr}`)
}
