import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'

import { describeOnBothEngines } from '../../test/_databases.ts'
import { repositoryScene } from '../http/_repository-scene.ts'
import { createHttpServers } from '../http/create-http-servers.ts'
import { systemClock } from '../lib/clock.ts'
import { createApiClient } from './api-client.ts'
import { CliError } from './cli-error.ts'
import { createProgram } from './program.ts'

describeOnBothEngines('nanoscale github', (open) => {
  it('lists repositories, and makes a project of one by its name', async () => {
    await using database = await open()
    await using scene = await repositoryScene(database.db)
    const { test, installationId } = scene
    // The operator acts by the organization's claim.
    const ada = await test.as('owner')
    await scene.connect(ada, 'ada')
    await database.db
      .updateTable('github_installations')
      .set({ organization_id: 'org-default' })
      .where('installation_id', '=', installationId)
      .execute()
    await mkdir(join(test.app.config.dataDirectory, 'run'), { recursive: true })
    await using servers = await createHttpServers(test.app)
    const run = async (...words: string[]) => {
      const lines: string[] = []
      const program = createProgram((options) => ({
        client: createApiClient({
          kind: 'operator',
          socket: servers.operatorSocket,
          organization: null,
        }),
        clock: systemClock,
        json: options.json === true,
        out: (line) => lines.push(line),
        err: () => {},
        fail: () => {},
      }))
      await program.parseAsync(words, { from: 'user' })
      return lines.join('\n')
    }
    assert.match(await run('github', 'status'), /^Connected +no$/m)
    assert.match(await run('github', 'installations'), /acme +all +claimed +not yet/)
    assert.match(await run('github', 'repos'), /no repository here/)
    assert.match(await run('github', 'repos', '--sync'), /acme\/shop +members +main +ready/)
    assert.match(await run('github', 'repos', '--query', 'none'), /no repository here/)
    const create = ['projects', 'create', 'shop', '--no-follow']
    const made = await run(...create, '--github', 'Acme/Shop', '--branch', 'next')
    assert.match(made, /^Branch +next$/m)
    assert.match(made, /^At GitHub +acme\/shop, private; webhook active$/m)
    const fails = (exitCode: number) => (error: unknown) =>
      error instanceof CliError && error.exitCode === exitCode
    await assert.rejects(run(...create, '--github', 'acme/none'), fails(1))
    await assert.rejects(run(...create), fails(2))
    await assert.rejects(run(...create, '--github', 'a/b', '--repo', 'https://x/y'), fails(2))
  })
})
