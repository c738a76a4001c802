/** A process with an inbox, to be killed: `node _inbox-process.ts '<database location>'` prints its port. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { openDatabase, type DatabaseLocation } from '../database/open-database.ts'
import { reconcileBranch } from '../deployments/reconcile-branch.ts'
import { systemClock } from '../lib/clock.ts'
import { newId } from '../lib/ids.ts'
import { silentLogger } from '../lib/logger.ts'
import { sourcesAt } from './_sources-at.ts'
import { keyring } from './_test-hooks.ts'
import { startWebhooks } from './start-webhooks.ts'

const [, , location = '', head = ''] = process.argv
const db = await openDatabase(JSON.parse(location) as DatabaseLocation)
const deps = { db, clock: systemClock, newId, log: silentLogger, keyring }
const sources = sourcesAt(head)
const webhooks = startWebhooks({
  ...deps,
  reconcile: (projectId, push, signal) =>
    reconcileBranch({ ...deps, sources }, projectId, { kind: 'push', ...push }, signal),
  lifecycle: () => Promise.resolve({ kind: 'done' }),
})
const server = createServer((request, response) => {
  const hook = { publicId: request.url?.split('/').at(-1) ?? '' }
  void webhooks.receive(request, response, { hook, network: '' })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`)
})
