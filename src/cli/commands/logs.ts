import { z } from 'zod'

import { logLine } from '../../contract/deployments.ts'
import type { AddCommand } from '../add-command.ts'
import { CliError } from '../cli-error.ts'
import { printable } from '../format.ts'
import { findProject, type Session } from '../session.ts'

const appLine = z.object({ instance_id: z.string(), text: z.string() })
const MAX_RECONNECTS = 20

interface LogOptions {
  follow?: boolean
  tail: string
  deployment?: string
}

export const addLogs: AddCommand = (program, run) => {
  program
    .command('logs [project]')
    .description('Show what the app prints, or the log of a deployment')
    .option('-f, --follow', 'stay and show what comes')
    .option('--tail <lines>', 'how many last lines to begin with', '200')
    .option('--deployment <id>', 'the log of this deployment')
    .action(run(showLogs))
}

async function showLogs(
  session: Session,
  [name]: (string | undefined)[],
  options: LogOptions,
): Promise<void> {
  const tail = Number(options.tail)
  if (!Number.isInteger(tail) || tail < 0) throw new CliError(2, '--tail must be a count of lines')
  const query = { follow: options.follow === true ? ('true' as const) : ('false' as const) }
  if (options.deployment !== undefined) {
    const id = options.deployment
    await read(session, options, (lastEventId) =>
      session.client.stream('deployments.logs', { params: { id }, query }, { lastEventId }),
    )
    return
  }
  const { id } = await findProject(session, name)
  await read(session, options, (lastEventId) =>
    session.client.stream(
      'projects.logs',
      { params: { id }, query: { ...query, tail } },
      { lastEventId },
    ),
  )
}

async function read(
  session: Session,
  options: LogOptions,
  open: (lastEventId: string | undefined) => ReturnType<Session['client']['stream']>,
): Promise<void> {
  let lastEventId: string | undefined
  for (let attempt = 0; attempt <= MAX_RECONNECTS; attempt += 1) {
    try {
      for await (const event of open(lastEventId)) {
        if (event.event === 'end') return
        lastEventId = event.id ?? lastEventId
        attempt = 0
        print(session, event.data)
      }
      if (options.follow !== true) return
    } catch (error) {
      // A restart of the control plane breaks the stream, not the log.
      const canRetry = !(error instanceof CliError) || error.exitCode === 3
      if (!canRetry || options.follow !== true || lastEventId === undefined) throw error
    }
    await session.clock.sleep(500)
  }
  throw new CliError(3, 'Cannot follow the log: the connection breaks again and again')
}

function print(session: Session, data: unknown): void {
  if (session.json) return session.out(JSON.stringify(data))
  const app = appLine.safeParse(data)
  const text = app.success ? app.data.text : logLine.parse(data).text
  session.out(printable(text.replace(/\n$/, '').replaceAll('\r\n', '\n')))
}
