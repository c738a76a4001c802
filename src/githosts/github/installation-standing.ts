import type { Clock } from '../../lib/clock.ts'
import { OperationError } from '../../lib/errors.ts'
import type { GithubApp, InstallationState } from '../github-host.ts'

/** GitHub's own refusal is believed for so long without asking again. */
const REFUSED_MS = 60_000

export interface InstallationStanding {
  /** Throws `github.gone` while the installation is known to be of no use. */
  check(app: GithubApp, installationId: number): void
  note(app: GithubApp, installationId: number, state: InstallationState): void
  /** By an answer of GitHub's, which may be about a passing state. */
  noteRefused(app: GithubApp, installationId: number, state: 'suspended' | 'removed'): void
}

export function createInstallationStanding(deps: {
  clock: Pick<Clock, 'now'>
}): InstallationStanding {
  const gone = new Map<string, { state: 'suspended' | 'removed'; until: number }>()
  const keyOf = (app: GithubApp, id: number) => `${app.apiUrl} ${app.appId} ${id}`
  return {
    check: (app, installationId) => {
      const key = keyOf(app, installationId)
      const known = gone.get(key)
      if (known === undefined) return
      if (known.until > deps.clock.now()) throw goneError(installationId, known.state)
      gone.delete(key)
    },
    note: (app, installationId, state) => {
      const key = keyOf(app, installationId)
      if (state === 'active') gone.delete(key)
      else gone.set(key, { state, until: Infinity })
    },
    noteRefused: (app, installationId, state) => {
      const key = keyOf(app, installationId)
      // What we were told holds until we are told otherwise.
      if (gone.get(key)?.until === Infinity) return
      gone.set(key, { state, until: deps.clock.now() + REFUSED_MS })
    },
  }
}

export function goneError(installationId: number, state: 'suspended' | 'removed'): OperationError {
  const sentence = `Cannot use the installation "${installationId}": it is ${state} at GitHub`
  return new OperationError('github.gone', sentence)
}
