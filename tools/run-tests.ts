import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
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
 * `npm test`: the check (with the unit tests on SQLite), the same on PostgreSQL, then the behaviours. `--unit`: only the
 * unit tests. `--system`: the tests that take a machine, one after another. Words after that select files by a part of
 * their path.
 */
async function main(mode: string | undefined, words: readonly string[]): Promise<Totals> {
  if (mode === '--unit') return runUnitTests(findUnitTests(words))
  if (mode === '--system')
    return runSuite(inProcesses(find(['test/system/**/*.test.ts'], words), 1))
  if (mode?.startsWith('--postgres') === true) return runUnitTests(findPostgresTests(mode, words))
  const unit = await runPart(['tools/check.ts'])
  if (unit.failed > 0) return unit
  const halves = await Promise.all(
    HALVES.map((half) => runPart(['tools/run-tests.ts', half, ...words], 'postgres')),
  )
  const postgres = sumOf(halves)
  if (postgres.failed > 0) return postgres
  const files = find(
    [
      'src/**/*.process.test.ts',
      'launcher/**/*.process.test.ts',
      'test/fake-github/**/*.process.test.ts',
      'test/*.test.ts',
    ],
    words,
  )
  const machine = await runSuite(inProcesses(files.filter(wantsTheMachine), 1))
  const others = await runSuite(
    inProcesses(
      files.filter((file) => !wantsTheMachine(file)),
      2,
    ),
  )
  return sumOf([unit, postgres, machine, others])
}

function sumOf(parts: readonly Totals[]): Totals {
  const sum = (count: (part: Totals) => number) => parts.reduce((all, part) => all + count(part), 0)
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    skipped: parts.flatMap(({ skipped }) => skipped),
  }
}

/** Their tests use user ids, mounts and process tables of the machine: one after another. The others talk to servers. */
function wantsTheMachine(file: string): boolean {
  return !/^(src\/(identity|http|webhooks|integrations|githosts|secrets)|test\/fake-github)\//.test(
    file,
  )
}

/** What starts processes of its own takes seconds: `*.process.test.ts` runs with the behaviours. */
function findUnitTests(words: readonly string[]): string[] {
  const files = find(
    [
      'src/**/*.test.ts',
      'tools/**/*.test.ts',
      'launcher/**/*.test.ts',
      'test/fake-github/**/*.test.ts',
    ],
    words,
  )
  return files.filter((file) => !file.endsWith('.process.test.ts'))
}

/** One process and one server of PostgreSQL each, so that both cores have work. */
const HALVES = ['--postgres=0', '--postgres=1']

function findPostgresTests(mode: string, words: readonly string[]): string[] {
  const files = findUnitTests(words).filter(usesDatabase)
  const half = /^--postgres=([01])$/.exec(mode)?.[1]
  return half === undefined ? files : files.filter((_, index) => index % 2 === Number(half))
}

function usesDatabase(file: string): boolean {
  return readFileSync(file, 'utf8').includes('describeOnBothEngines')
}

/** All in this process: starting one for each file takes ten times as long as the tests. */
async function runUnitTests(files: readonly string[]): Promise<Totals> {
  const totals = await runSuite({ files, isolation: 'none', concurrency: 1 })
  setTimeout(() => {
    console.log(`A unit test left something open: ${process.getActiveResourcesInfo().join(', ')}`)
    process.exit(1)
  }, LEAK_AFTER_MS).unref()
  return totals
}

function inProcesses(files: readonly string[], concurrency: number): Suite {
  return { files, isolation: 'process', concurrency }
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

/** Runs a part in a process of its own and reads from its last lines what passed and what was skipped. */
function runPart(argv: readonly string[], engines?: string): Promise<Totals> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, argv, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: engines === undefined ? process.env : { ...process.env, TEST_ENGINES: engines },
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.once('error', reject)
    child.once('close', (code) => {
      // As a whole: two parts at a time would mix their lines.
      process.stdout.write(output)
      const passed = Number([...output.matchAll(/(\d+) passed/g)].at(-1)?.[1] ?? 0)
      const skipped = [...output.matchAll(/^skipped (.*)$/gm)].map(([, test]) => test ?? '')
      resolve({ passed, failed: code === 0 ? 0 : 1, skipped })
    })
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
