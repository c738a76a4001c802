import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import type { DeliveryFacts } from '../githosts/github-host.ts'
import { createMovableClock } from '../http/_movable-clock.ts'
import { repositoryScene } from '../http/_repository-scene.ts'
import { silentLogger } from '../lib/logger.ts'
import { planRedeliveries, redeliveryJob } from './heal-github.ts'

const NOW = Date.parse('2026-01-01T12:00:00.000Z')

function delivery(id: number, more: Partial<DeliveryFacts> = {}): DeliveryFacts {
  return {
    id,
    guid: `guid-${id}`,
    deliveredAt: '2026-01-01T11:00:00.000Z',
    status: 'Service Unavailable',
    statusCode: 503,
    event: 'push',
    redelivery: false,
    ...more,
  }
}

describe('planRedeliveries()', () => {
  const idsOf = (deliveries: DeliveryFacts[]) =>
    planRedeliveries(deliveries, NOW).map(({ id }) => id)

  it('asks for events of which no attempt came through, timeouts included', () => {
    const ok = delivery(2, { guid: 'guid-1', statusCode: 202, redelivery: true })
    const timeout = delivery(3, { statusCode: null, status: 'timed out' })
    assert.deepEqual(idsOf([ok, delivery(1), timeout]), [3])
  })

  it('asks by the newest attempt, and no more after four', () => {
    const later = (id: number, minutes: number) =>
      delivery(id, { guid: 'g', deliveredAt: `2026-01-01T11:0${minutes}:00.000Z` })
    const three = [later(3, 3), later(2, 2), later(1, 1)]
    assert.deepEqual(idsOf(three), [3])
    assert.deepEqual(idsOf([later(4, 4), ...three]), [])
  })

  it('leaves what is under way alone, and begins with what is no push', () => {
    const young = delivery(1, { deliveredAt: '2026-01-01T11:59:50.000Z' })
    const installation = delivery(3, { event: 'installation' })
    assert.deepEqual(idsOf([young, delivery(2), installation]), [3, 2])
  })
})

describeOnBothEngines('redeliveryJob()', (open) => {
  it('asks GitHub again for what it could not deliver, three times at most', async () => {
    await using database = await open()
    const clock = createMovableClock()
    // Nobody listens there.
    const hookUrl = 'http://127.0.0.1:1/hook'
    await using scene = await repositoryScene(database.db, { clock, hookUrl })
    const { fake, repository, test } = scene
    await fake.settled()
    const job = redeliveryJob({ ...test.app, log: silentLogger })
    await fake.push(repository, { files: { a: '2' } })
    await fake.settled()
    const attempts = () => fake.deliveries.filter(({ event }) => event === 'push').length
    assert.equal(attempts(), 1)
    for (let sweep = 0; sweep < 6; sweep += 1) {
      clock.move(180_000)
      await job.run(AbortSignal.timeout(30_000))
      await fake.settled()
    }
    assert.equal(attempts(), 4)
    const apps = await database.db.selectFrom('integrations').select('swept_at').execute()
    assert.notEqual(apps[0]?.swept_at, null)
  })
})
