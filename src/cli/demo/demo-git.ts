import { runCommand } from '../../lib/run-command.ts'

/** The environment of a git that reads no configuration of this machine. */
export function gitEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Demo',
    GIT_AUTHOR_EMAIL: 'demo@example.com',
    GIT_COMMITTER_NAME: 'Demo',
    GIT_COMMITTER_EMAIL: 'demo@example.com',
  }
}

/** Runs git in `directory` and returns what it printed; throws what it complained about. */
export async function runGit(directory: string, ...args: string[]): Promise<string> {
  const result = await runCommand(
    { argv: ['git', ...args], cwd: directory, env: gitEnvironment(directory) },
    { timeoutMs: 20_000 },
  )
  if (result.exitCode !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`)
  return result.stdout.trim()
}
