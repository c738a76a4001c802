import { Command } from 'commander'

import { OPERATOR } from '../../audit/actor.ts'
import { recordAuditEvent } from '../../audit/record-audit-event.ts'
import { loadConfig, type Config } from '../../config/config.ts'
import { OperationError, isOperationError } from '../../lib/errors.ts'
import { newId } from '../../lib/ids.ts'
import { keyStatus } from '../../secrets/key-status.ts'
import { retireKey } from '../../secrets/retire-key.ts'
import { rotateKeys } from '../../secrets/rotate-keys.ts'
import { answers, askServer } from './running-server.ts'
import { withKeyring, type KeyringDeps } from './with-keyring.ts'

/**
 * `nanoscale keys`: the running server is asked, since it holds the keyring; while none runs, the work is done here
 * under its lock.
 */
export function keysCommand(): Command {
  const keys = new Command('keys').description('Look after the keys that seal stored secrets')
  keys
    .command('status', { isDefault: true })
    .description('Show each key and how much is sealed with it')
    .option('--json', 'print it for a program')
    .action((options: { json?: boolean }) => printStatus(options.json === true))
  keys
    .command('rotate')
    .description(
      'Seal every stored secret again with a new key; an interrupted rotation is continued',
    )
    .action(() => rotate())
  keys
    .command('retire')
    .description('Take a key out of use that nothing is sealed with any more')
    .argument('<id>', 'id of the key, as `nanoscale keys status` shows it')
    .action((id: string) => retire(id))
  return keys
}

interface StatusItem {
  id: string
  current: boolean
  sealed_values: number
  created_at: string | null
  retired_at: string | null
}

async function printStatus(json: boolean): Promise<void> {
  const items = await readStatus(loadConfig(process.env))
  if (json) return console.log(JSON.stringify({ items }, null, 2))
  for (const item of items) {
    const state = item.current ? 'seals' : item.retired_at === null ? 'opens' : 'retired'
    console.log(
      `${item.id}  ${state}  ${item.sealed_values} sealed  since ${item.created_at ?? 'now'}`,
    )
  }
}

async function readStatus(config: Config): Promise<StatusItem[]> {
  if (await answers(config.dataDirectory, 'operator.sock')) {
    const body = await textOf(askServer(config.dataDirectory, 'GET', '/api/instance/keys'))
    return (JSON.parse(body) as { items: StatusItem[] }).items
  }
  return await withKeyring(config, async (deps) => {
    const { keys } = await keyStatus(deps)
    return keys.map((key) => ({
      id: key.id,
      current: key.current,
      sealed_values: key.sealedValues,
      created_at: key.createdAt,
      retired_at: key.retiredAt,
    }))
  })
}

async function rotate(): Promise<void> {
  const config = loadConfig(process.env)
  if (await answers(config.dataDirectory, 'operator.sock')) {
    await followRotation(askServer(config.dataDirectory, 'POST', '/api/instance/keys/rotate'))
  } else {
    await withKeyring(config, async (deps) => {
      const { keyId, resealed } = await rotateKeys(deps, showProgress)
      await record(deps, { action: 'keys.rotated', keyId, details: { resealed } })
    })
  }
  console.log('Everything is sealed with the current key. See: nanoscale keys status')
}

/** Without its last event the rotation did not come to its end, whatever cut the answer off. */
async function followRotation(chunks: AsyncGenerator<string>): Promise<void> {
  let rest = ''
  let last = ''
  try {
    for await (const chunk of chunks) {
      const events = (rest + chunk).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) last = showEvent(event) ?? last
    }
  } catch (cause) {
    if (isOperationError(cause)) throw cause
    throw interrupted(cause)
  }
  if (last !== 'end') throw interrupted(undefined)
}

function interrupted(cause: unknown): OperationError {
  const message =
    'Cannot tell that all was sealed again: the answer broke off. Run it again to continue'
  return new OperationError('keyring.interrupted', message, { cause })
}

function showEvent(event: string): string | undefined {
  const name = /^event: ?(.*)$/m.exec(event)?.[1]
  const data = JSON.parse(/^data: ?(.*)$/m.exec(event)?.[1] ?? '{}') as Partial<Progress & Failure>
  if (name === 'progress') showProgress({ resealed: data.resealed ?? 0, total: data.total ?? null })
  if (name === 'error') {
    throw new OperationError(data.code ?? 'server.refused', data.error ?? 'The rotation failed')
  }
  return name
}

interface Failure {
  error: string
  code: string
}

interface Progress {
  resealed: number
  total: number | null
}

function showProgress({ resealed, total }: Progress): void {
  console.error(`${resealed} of ${total ?? '?'} sealed again`)
}

async function retire(id: string): Promise<void> {
  const config = loadConfig(process.env)
  if (await answers(config.dataDirectory, 'operator.sock')) {
    const path = `/api/instance/keys/${encodeURIComponent(id)}/retire`
    await textOf(askServer(config.dataDirectory, 'POST', path))
  } else {
    await withKeyring(config, async (deps) => {
      await retireKey(deps, id)
      await record(deps, { action: 'keys.retired', keyId: id, details: {} })
    })
  }
  console.log(`Key "${id}" is retired`)
  if (config.encryptionKeys !== null) console.log('Now remove it from NANOSCALE_ENCRYPTION_KEYS')
}

async function record(
  { db, clock }: KeyringDeps,
  event: {
    action: 'keys.rotated' | 'keys.retired'
    keyId: string
    details: Record<string, unknown>
  },
): Promise<void> {
  const { action, keyId, details } = event
  const target = { kind: 'key', id: keyId }
  const entry = { organizationId: null, by: OPERATOR, action, target, details }
  await recordAuditEvent({ clock, newId }, db, entry)
}

async function textOf(chunks: AsyncGenerator<string>): Promise<string> {
  let text = ''
  for await (const chunk of chunks) text += chunk
  return text
}
