import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

/** With CI set, a test that could not run is a failure: else a broken machine looks like a green one. */
const SKIPS_FAIL = process.env['CI'] === 'true'

/** What a leaked handle gets to close by itself before it is a failure. */
const LEAK_AFTER_MS = 5000

interface Totals {
  passed: number
  failed: number
  skipped: string[]
}

interface Suite {
  files: readonly string[]
  isolation: 'none' | 'process'
  concurrency: number
}

/**
 * `npm test`: the check (with the unit tests), then the behaviours. `--unit`: only the unit tests. `--system`: the tests
 * that take a machine, one after another. Words after that select files by a part of their path.
 */
async function main(mode: string | undefined, words: readonly string[]): Promise<Totals> {
  if (mode === '--unit') return runUnitTests(words)
  if (mode === '--system') return runSuite(inProcesses('test/system/**/*.test.ts', words, 1))
  const unit = await runCheck()
  if (unit.failed > 0) return unit
  const behaviours = await runSuite(inProcesses('test/*.test.ts', words, 2))
  return { ...behaviours, passed: unit.passed + behaviours.passed }
}

/** All in this process: starting one for each file takes ten times as long as the tests. */
async function runUnitTests(words: readonly string[]): Promise<Totals> {
  const files = find(['src/**/*.test.ts', 'tools/**/*.test.ts', 'launcher/**/*.test.ts'], words)
  const totals = await runSuite({ files, isolation: 'none', concurrency: 1 })
  setTimeout(() => {
    console.log(`A unit test left something open: ${process.getActiveResourcesInfo().join(', ')}`)
    process.exit(1)
  }, LEAK_AFTER_MS).unref()
  return totals
}

function inProcesses(pattern: string, words: readonly string[], concurrency: number): Suite {
  return { files: find([pattern], words), isolation: 'process', concurrency }
}

function find(patterns: readonly string[], words: readonly string[]): string[] {
  const files = globSync([...patterns]).sort()
  return words.length === 0 ? files : files.filter((file) => words.some((w) => file.includes(w)))
}

function runSuite({ files, isolation, concurrency }: Suite): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: [] }
  if (files.length === 0) return Promise.resolve(totals)
  return new Promise((resolve) => {
    const limit = isolation === 'process' ? { concurrency } : {}
    const events = run({ files: [...files], isolation, ...limit })
    events.on('test:fail', ({ details }) => {
      if (details.type !== 'suite') totals.failed += 1
    })
    events.on('test:pass', ({ name, details, skip }) => {
      if (skip !== undefined) totals.skipped.push(`${name}: ${skip === true ? 'no reason' : skip}`)
      else if (details.type !== 'suite') totals.passed += 1
    })
    events.once('end', () => resolve(totals))
    events.compose(new spec()).pipe(process.stdout)
  })
}

/** Runs `npm run check` and reads from its lines how many unit tests passed. */
function runCheck(): Promise<Totals> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['tools/check.ts'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let passed = 0
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      process.stdout.write(text)
      passed = Number(/(\d+) passed/.exec(text)?.[1] ?? passed)
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ passed, failed: code === 0 ? 0 : 1, skipped: [] }))
  })
}

function report({ passed, failed, skipped }: Totals): void {
  for (const test of skipped) console.log(`skipped ${test}`)
  const failures = failed + (SKIPS_FAIL ? skipped.length : 0)
  process.exitCode = failures === 0 ? 0 : 1
  const note =
    skipped.length === 0
      ? ''
      : `, ${skipped.length} skipped${SKIPS_FAIL ? ' (a failure in CI)' : ''}`
  console.log(`${passed} passed, ${failed} failed${note}`)
}

report(await main(process.argv[2], process.argv.slice(3)))
