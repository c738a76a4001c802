import { Command } from 'commander'

import { parseAnchor } from '../../audit/audit-chain.ts'
import { verifyAudit } from '../../audit/verify-audit.ts'
import { loadConfig, type Config } from '../../config/config.ts'
import { isOperationError, OperationError } from '../../lib/errors.ts'
import { readInstanceSecret } from '../../secrets/instance-secret.ts'
import { parseEvents } from '../parse-events.ts'
import { answers, askServer } from './running-server.ts'
import { withKeyring } from './with-keyring.ts'

interface Verdict {
  events: number
  unsealed: number
  anchor: string | null
  problem_count: number
  problems: { kind: string; message: string; sequence: number | null; event_id: string | null }[]
}

interface Progress {
  verified: number
  total: number
}

const TELL_EVERY = 50_000

/** `nanoscale audit verify`: the running server is asked; while none runs, it is done here under its lock. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('Prove that nothing of the audit was changed, removed or cut off')
    .option(
      '--anchor <SEQ:MAC>',
      'a head that the log told earlier ("Audit head"): finds a chain that was rolled back too',
    )
    .option('--json', 'print it for a program')
    .action((_: object, command: Command) => verify(command.optsWithGlobals()))
}

async function verify(options: { anchor?: string; json?: boolean }): Promise<void> {
  const config = loadConfig(process.env)
  // Refused here too, before a server is asked.
  if (options.anchor !== undefined) parseAnchor(options.anchor)
  const verdict = await readVerdict(config, options.anchor ?? null)
  if (verdict.problem_count > 0) process.exitCode = 1
  if (options.json === true) return console.log(JSON.stringify(verdict, null, 2))
  if (verdict.problem_count === 0) return tellWhole(verdict, options.anchor !== undefined)
  for (const { message } of verdict.problems) console.error(message)
  const more = verdict.problem_count - verdict.problems.length
  if (more > 0) console.error(`And ${more} more`)
  const found =
    verdict.problem_count === 1 ? '1 problem was' : `${verdict.problem_count} problems were`
  console.error(`The audit is not whole: ${found} found`)
}

function tellWhole({ events, unsealed, anchor }: Verdict, anchored: boolean): void {
  console.log(`The audit is whole: ${events} events, none changed, removed or cut off`)
  if (unsealed > 0) console.log(`Too new to be sealed: ${unsealed}`)
  if (anchor === null) return
  console.log(`Its head is ${anchor}`)
  if (anchored) return
  console.log(
    'Keep it on another machine: with --anchor it proves later that nothing was rolled back',
  )
}

async function readVerdict(config: Config, anchor: string | null): Promise<Verdict> {
  if (await answers(config.dataDirectory, 'operator.sock')) {
    const query = anchor === null ? '' : `?anchor=${encodeURIComponent(anchor)}`
    return await follow(askServer(config.dataDirectory, 'POST', `/api/audit/verify${query}`))
  }
  return await withKeyring(config, async (deps) => {
    const secret = await readInstanceSecret(deps, 'audit')
    const options = { anchor: anchor === null ? null : parseAnchor(anchor) }
    for await (const step of verifyAudit({ db: deps.db, secret }, options)) {
      if (step.kind === 'progress') {
        showProgress(step)
        continue
      }
      const { problemCount, problems, ...verdict } = step.verdict
      return {
        ...verdict,
        problem_count: problemCount,
        problems: problems.map(({ eventId, ...problem }) => ({ ...problem, event_id: eventId })),
      }
    }
    throw interrupted(undefined)
  })
}

/** Without a verdict nothing is proven, whatever cut the answer off. */
async function follow(chunks: AsyncGenerator<string>): Promise<Verdict> {
  try {
    for await (const { event, data } of parseEvents(bytesOf(chunks))) {
      if (event === 'verdict') return data as Verdict
      if (event === 'progress') showProgress(data as Progress)
      if (event !== 'error') continue
      const { error, code } = data as { error: string; code?: string }
      throw new OperationError(code ?? 'server.refused', error)
    }
  } catch (cause) {
    if (isOperationError(cause)) throw cause
    throw interrupted(cause)
  }
  throw interrupted(undefined)
}

function interrupted(cause: unknown): OperationError {
  const message = 'Cannot tell whether the audit is whole: the answer broke off. Run it again'
  return new OperationError('audit.interrupted', message, { cause })
}

async function* bytesOf(chunks: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  for await (const chunk of chunks) yield encoder.encode(chunk)
}

function showProgress({ verified, total }: Progress): void {
  if (verified % TELL_EVERY === 0) console.error(`${verified} of ${total} events verified`)
}
