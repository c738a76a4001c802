import { describe, it } from 'node:test'

import { startGitHost } from '../_git-host.ts'
import { firstDeploymentStory } from './_first-deployment.ts'
import { startPlatform } from './_platform.ts'

describe('first deployment', () => {
  it('D-01 D-14 goes from a URL to a live app and through its whole life', async () => {
    await using host = await startGitHost()
    await using platform = await startPlatform({ gitHostPort: host.port })
    await firstDeploymentStory(platform, host)
    await platform.stopAll()
  })
})
