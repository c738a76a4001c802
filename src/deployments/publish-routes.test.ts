import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { createTestClock } from '../../test/_deployments.ts'
import { OperationError } from '../lib/errors.ts'
import { createRoutes } from '../traffic/routes.ts'
import { createRoutePublisher } from './publish-routes.ts'

describe('createRoutePublisher()', () => {
  it('publishes on when the clock went back since an earlier process published', async () => {
    const clock = createTestClock()
    const routes = createRoutes()
    routes.swap({ version: clock.now() + 3_600_000, routes: [] })
    const { publish } = createRoutePublisher({
      clock,
      traffic: {
        publish: (table) =>
          routes.swap(table)
            ? Promise.resolve()
            : Promise.reject(new OperationError('traffic.stale_table', 'A newer one is served')),
        stats: () => Promise.resolve({ version: routes.version }),
      },
      deriveRoutes: (version) => Promise.resolve({ version, routes: [] }),
    })
    await publish()
    assert.equal(routes.version, clock.now() + 3_600_001)
    await publish()
    assert.equal(routes.version, clock.now() + 3_600_002)
  })

  it('shares one table among the calls that come while another is published', async () => {
    let derived = 0
    const { publish } = createRoutePublisher({
      clock: createTestClock(),
      traffic: { publish: () => Promise.resolve(), stats: () => Promise.resolve({ version: -1 }) },
      deriveRoutes: (version) => {
        derived += 1
        return Promise.resolve({ version, routes: [] })
      },
    })
    const first = publish()
    await Promise.resolve()
    await Promise.all([first, publish(), publish()])
    assert.equal(derived, 2)
  })
})
