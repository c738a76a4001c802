import { join } from 'node:path'

import { type Environment, loadConfig } from './config/config.ts'
import { createLogger } from './lib/logger.ts'
import { createUnitListens } from './lib/unit-sockets.ts'
import { createLineWriter, outliveReaders } from './platform/process-output.ts'
import { unitOfInstance } from './runtimes/runtime.ts'
import { runTrafficProcess } from './traffic/traffic-process.ts'

/** The traffic process: serves apps until it is asked to end, whether or not anything else of NanoScale runs. */
export async function runTraffic(env: Environment): Promise<void> {
  outliveReaders()
  // The terminal's end is not the apps' end.
  process.on('SIGHUP', () => {})
  const config = loadConfig(env)
  const log = createLogger({ level: config.logLevel, write: createLineWriter() }).child({
    room: 'traffic',
  })
  const unitListens = createUnitListens()
  await runTrafficProcess({
    bind: config.trafficBind,
    port: config.trafficPort,
    trustedProxies: config.trustedProxies,
    controlSocketPath: join(config.dataDirectory, 'run', 'traffic.sock'),
    routesFile: join(config.dataDirectory, 'traffic', 'routes.json'),
    drainMs: config.drainSeconds * 1000,
    log,
    instanceListens: (instanceId, port) => unitListens(unitOfInstance(instanceId), port),
  })
}
