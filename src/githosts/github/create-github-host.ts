import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { GithubHost } from '../github-host.ts'
import { createAppCaller } from './app-jwt.ts'
import { createAsApp } from './as-app.ts'
import { createAsInstallation, createInstallationCaller } from './as-installation.ts'
import { createAsPerson } from './as-person.ts'
import { createAsker } from './ask.ts'
import { createInstallationStanding } from './installation-standing.ts'
import { createOAuth } from './oauth.ts'
import { createRepositoryHooks } from './repository-hooks.ts'
import { createTokenMemory, type TokenRedactor } from './secret-memory.ts'
import { createTokenMinter } from './token-minter.ts'
import { createTransport, type TransportDeps } from './transport.ts'

export interface GithubHostDeps extends TransportDeps {
  clock: Clock
  redactor: TokenRedactor
  log: Logger
}

/** Speaks with GitHub over HTTP. Disposing cuts what is under way. */
export function createGithubHost(deps: GithubHostDeps): GithubHost & AsyncDisposable {
  const { clock, redactor, log } = deps
  const transport = createTransport(deps)
  const asker = createAsker({ clock, transport })
  const memory = createTokenMemory({ clock, redactor })
  const standing = createInstallationStanding({ clock })
  const apps = createAppCaller({ clock, asker })
  const minter = createTokenMinter({ clock, asker, apps, memory, standing, log })
  const parts = { clock, asker, minter, standing }
  const installations = createInstallationCaller(parts)
  return {
    ...createAsApp({ apps, asker, redactor }),
    ...createOAuth({ clock, asker, memory }),
    ...createAsPerson({ clock, asker, memory }),
    ...createAsInstallation({ ...parts, installations }),
    ...createRepositoryHooks(installations),
    mintToken: async (app, order, signal) => {
      const { token, expiresAt } = await minter.mint(app, order, signal)
      return { token, expiresAt }
    },
    revokeToken: (app, token, signal) => minter.revoke(app, token, signal),
    noteInstallation: (app, installationId, state) => {
      standing.note(app, installationId, state)
      if (state !== 'active') minter.forgetInstallation(app, installationId)
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
