import { Command } from 'commander'

import { runDemo } from './run-demo.ts'
import { runGithubDemo } from './run-github-demo.ts'

/** `nanoscale demo`: the product on this machine alone, and nothing of it afterwards. */
export function demoCommand(): Command {
  return new Command('demo')
    .description('Deploy two examples from local Git repositories, offline, and clean up')
    .option('--github', 'instead: a private repository of a stand-in of GitHub (in a checkout)')
    .option('--once', 'end by itself instead of waiting for Ctrl-C')
    .action(async (options: { github?: boolean; once?: boolean }) => {
      const controller = new AbortController()
      const end = () => controller.abort(new Error('The demo was ended'))
      process.on('SIGINT', end).on('SIGTERM', end).on('SIGHUP', end)
      try {
        const run = options.github === true ? runGithubDemo : runDemo
        await run({
          once: options.once ?? false,
          print: (line) => console.log(line),
          signal: controller.signal,
        })
      } catch (error) {
        if (!controller.signal.aborted) throw error
      } finally {
        process.off('SIGINT', end).off('SIGTERM', end).off('SIGHUP', end)
      }
    })
}
