import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'

/** Everything that must hold before a commit, the cheapest finding first. Stops at the first failure. */
const STEPS: readonly { name: string; argv: readonly [string, ...string[]] }[] = [
  { name: 'lint', argv: ['oxlint', '--type-aware', '--quiet'] },
  { name: 'format', argv: ['oxfmt', '--check', 'src', 'test', 'tools', 'launcher'] },
  { name: 'types', argv: ['tsc'] },
  { name: 'boundaries', argv: ['node', 'tools/check-boundaries.ts'] },
  { name: 'unused code', argv: ['knip', '--no-progress'] },
  { name: 'unit tests', argv: ['node', 'tools/run-tests.ts', '--unit'] },
]

interface StepResult {
  passed: boolean
  output: string
}

async function check(): Promise<boolean> {
  const startedAt = performance.now()
  for (const { name, argv } of STEPS) {
    const stepAt = performance.now()
    const { passed, output } = await runStep(argv)
    const result = /^\d+ passed.*$/m.exec(output)?.[0] ?? ''
    console.log(
      `${passed ? 'ok  ' : 'FAIL'}  ${name.padEnd(12)} ${secondsSince(stepAt)}  ${result}`,
    )
    if (!passed) {
      console.log(`\n${output.trim()}\n\n"${name}" failed: ${argv.join(' ')}`)
      return false
    }
  }
  console.log(`All checks passed in ${secondsSince(startedAt).trim()}`)
  return true
}

function runStep(argv: readonly [string, ...string[]]): Promise<StepResult> {
  const [file, ...args] = argv
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { TEST_ENGINES: 'sqlite', ...process.env },
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    }
    child.once('error', (error) => resolve({ passed: false, output: error.message }))
    child.once('close', (code) => resolve({ passed: code === 0, output }))
  })
}

function secondsSince(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(2)} s`.padStart(8)
}

process.exitCode = (await check()) ? 0 : 1
