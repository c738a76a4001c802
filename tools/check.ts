import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'

interface Step {
  name: string
  argv: readonly [string, ...string[]]
}

/** Everything that must hold before a commit, the cheapest finding first. */
const STATIC_STEPS: readonly Step[] = [
  { name: 'lint', argv: ['oxlint', '--type-aware', '--quiet'] },
  { name: 'format', argv: ['oxfmt', '--check', 'src', 'test', 'tools', 'launcher', 'bench'] },
  { name: 'types', argv: ['tsc'] },
  { name: 'boundaries', argv: ['node', 'tools/check-boundaries.ts'] },
  { name: 'unused code', argv: ['knip', '--no-progress'] },
]

/** Beside the others: most of their time they wait for disks and timers. */
const UNIT_TESTS: Step = { name: 'unit tests', argv: ['node', 'tools/run-tests.ts', '--unit'] }

interface StepResult {
  passed: boolean
  output: string
}

async function check(): Promise<boolean> {
  const startedAt = performance.now()
  const failed = new AbortController()
  const lanes = [STATIC_STEPS, [UNIT_TESTS]].map((steps) => runSteps(steps, failed))
  const passed = (await Promise.all(lanes)).every(Boolean)
  if (passed) console.log(`All checks passed in ${secondsSince(startedAt).trim()}`)
  return passed
}

/** One after another; the first failure of any lane ends both, so that its output is the last. */
async function runSteps(steps: readonly Step[], failed: AbortController): Promise<boolean> {
  for (const { name, argv } of steps) {
    const stepAt = performance.now()
    const { passed, output } = await runStep(argv, failed.signal)
    if (failed.signal.aborted) return false
    const result = /^\d+ passed.*$/m.exec(output)?.[0] ?? ''
    console.log(
      `${passed ? 'ok  ' : 'FAIL'}  ${name.padEnd(12)} ${secondsSince(stepAt)}  ${result}`,
    )
    if (passed) continue
    failed.abort()
    console.log(`\n${output.trim()}\n\n"${name}" failed: ${argv.join(' ')}`)
    return false
  }
  return true
}

function runStep(argv: readonly [string, ...string[]], signal: AbortSignal): Promise<StepResult> {
  const [file, ...args] = argv
  return new Promise((resolve) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
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
