import { Command } from 'commander'

import { loadConfig, type Config } from '../../config/config.ts'
import { instance } from '../../contract/instance.ts'
import { migrationsPending } from '../../database/migrate.ts'
import { examine, type Finding } from '../../doctor/examine.ts'
import { failed, warning } from '../../doctor/finding.ts'
import { systemClock } from '../../lib/clock.ts'
import { isOperationError, messageOf } from '../../lib/errors.ts'
import { openRecords, recordsExist } from './open-records.ts'
import { answers, askServer } from './running-server.ts'

/** Exit code when something has to be repaired; warnings alone leave it at 0. */
const FAILED = 2

/** `nanoscale doctor`: works before the first start, beside a running server, and when nothing starts any more. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Look at everything that NanoScale needs, with a fix per finding')
    .option('--json', 'print the findings for a program')
    .addHelpText(
      'after',
      '\nExit codes: 0 all is well or there are only warnings, 2 something has to be repaired.',
    )
    .action(async (options: { json?: boolean }) => {
      const findings = await findAll()
      if (options.json === true) console.log(JSON.stringify({ findings }, null, 2))
      else printFindings(findings)
      if (findings.some(({ status }) => status === 'failed')) process.exitCode = FAILED
    })
}

async function findAll(): Promise<Finding[]> {
  let config: Config
  try {
    config = loadConfig(process.env)
  } catch (error) {
    if (!isOperationError(error, 'config.invalid')) throw error
    return Object.entries(error.details ?? {}).flatMap(([name, problems]) =>
      problems.map((problem) =>
        failed('configuration', `${name} ${problem}`, 'See docs/configuration.md'),
      ),
    )
  }
  const facts = {
    config,
    clock: systemClock,
    startedAsUid: process.getuid?.() ?? -1,
    serving: {
      api: await answers(config.dataDirectory, 'operator.sock'),
      traffic: await answers(config.dataDirectory, 'traffic.sock'),
    },
    path: process.env['PATH'] ?? '',
  }
  const findings = await withDatabase(config, (database) => examine({ ...facts, ...database }))
  return facts.serving.api ? [...findings, ...(await askAboutGithub(config))] : findings
}

/** The running server has what it takes to ask GitHub about the App from the environment. */
async function askAboutGithub(config: Config): Promise<Finding[]> {
  let text = ''
  try {
    for await (const piece of askServer(config.dataDirectory, 'GET', '/api/instance')) text += piece
  } catch (error) {
    if (!isOperationError(error)) throw error
    const message = `The server cannot be asked about GitHub: ${error.message}`
    return [warning('github_app', message, 'Look at its log')]
  }
  const { findings } = instance.parse(JSON.parse(text))
  return findings.filter(({ check }) => check === 'github_app')
}

type DatabaseFacts = Pick<Parameters<typeof examine>[0], 'db' | 'databaseProblem'>

async function withDatabase(
  config: Config,
  look: (facts: DatabaseFacts) => Promise<Finding[]>,
): Promise<Finding[]> {
  if (!recordsExist(config)) {
    const text = 'There is no database yet'
    return await look({
      db: null,
      databaseProblem: warning('database', text, 'It is made by: nanoscale start'),
    })
  }
  let pending: string[]
  await using records = await openRecords(config)
  try {
    pending = await migrationsPending(records.db)
  } catch (error) {
    const fix =
      'Check NANOSCALE_DATABASE_URL, the rights of the database file, and that its server answers'
    const text = `The database does not answer: ${messageOf(error)}`
    return await look({ db: null, databaseProblem: failed('database', text, fix) })
  }
  if (pending.length === 0) return await look({ db: records.db })
  const text = `The database is older than this program: ${pending.join(', ')}`
  const fix = 'Start NanoScale, or run: nanoscale migrate'
  return await look({ db: null, databaseProblem: warning('database', text, fix) })
}

const MARKS: Readonly<Record<Finding['status'], string>> = {
  ok: 'ok  ',
  warning: 'WARN',
  failed: 'FAIL',
}

function printFindings(findings: readonly Finding[]): void {
  for (const { check, status, message, fix } of findings) {
    console.log(`${MARKS[status]}  ${check}: ${message}`)
    if (fix !== null) console.log(`      ${fix}`)
  }
}
