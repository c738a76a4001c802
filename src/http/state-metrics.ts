import { memoryUsage } from 'node:process'

import type { Database } from '../database/database.ts'
import { head } from './request-metrics.ts'

/** What the records say, as gauges in the Prometheus text format. */
export async function readStateMetrics(db: Database): Promise<string> {
  const projects = await db
    .selectFrom('projects')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('deleted_at', 'is', null)
    .executeTakeFirstOrThrow()
  const deployments = await db
    .selectFrom('deployments')
    .select((eb) => ['state', eb.fn.countAll().as('count')])
    .groupBy('state')
    .execute()
  const instances = await db
    .selectFrom('instances')
    .select((eb) => ['state', eb.fn.countAll().as('count')])
    .groupBy('state')
    .execute()
  return [
    ...head('nanoscale_projects', 'gauge', 'Projects'),
    `nanoscale_projects ${projects.count}`,
    ...head('nanoscale_deployments', 'gauge', 'Deployments by state'),
    ...deployments.map((row) => `nanoscale_deployments{state="${row.state}"} ${row.count}`),
    ...head('nanoscale_instances', 'gauge', 'Instances of apps by state'),
    ...instances.map((row) => `nanoscale_instances{state="${row.state}"} ${row.count}`),
    ...head('nanoscale_control_resident_bytes', 'gauge', 'Memory of the control process'),
    `nanoscale_control_resident_bytes ${memoryUsage().rss}`,
    '',
  ].join('\n')
}
