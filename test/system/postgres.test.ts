import { describe, it } from 'node:test'

import { Client } from 'pg'

import { startGitHost } from '../_git-host.ts'
import { postgresHere } from '../_postgres.ts'
import { firstDeploymentStory } from './_first-deployment.ts'
import { startPlatform } from './_platform.ts'

const postgres = postgresHere()

describe(
  'first deployment on PostgreSQL',
  {
    skip: postgres.kind === 'unavailable' ? postgres.reason : false,
  },
  () => {
    it('goes from a URL to a live app and through its whole life', async () => {
      await using database = await createDatabase()
      await using host = await startGitHost()
      await using platform = await startPlatform({
        gitHostPort: host.port,
        environment: { NANOSCALE_DATABASE_URL: database.url },
      })
      await firstDeploymentStory(platform, host)
      await platform.stopAll()
    })
  },
)

async function createDatabase(): Promise<{ url: string } & AsyncDisposable> {
  if (postgres.kind === 'unavailable') throw new Error(postgres.reason)
  const administration = await postgres.start()
  const name = `system_${process.pid}`
  const execute = async (sql: string) => {
    const client = new Client({ connectionString: administration })
    await client.connect()
    await client.query(sql)
    await client.end()
  }
  await execute(`create database ${name} template template0`)
  const url = new URL(administration)
  url.pathname = `/${name}`
  return {
    url: url.href,
    [Symbol.asyncDispose]: () => execute(`drop database ${name} with (force)`),
  }
}
