import { posix } from 'node:path'

import type { DecisionKind } from '../database/schema.ts'
import { matchesGlob } from './matches-glob.ts'

/** What is known of a new head. `not_computable` never hides a commit: it deploys. */
export interface HeadFacts {
  /** The first head of the project is deployed whatever the settings: somebody just asked for it. */
  first: boolean
  autoDeploy: boolean
  /** Messages of the commits that no decision was about yet, the head's included; null when its own has no marker. */
  messages: readonly string[] | 'not_computable' | null
  watchPaths: readonly string[] | null
  /** Paths that changed since the newest head that ever served; null when no watch paths are set. */
  changedPaths: readonly string[] | 'not_computable' | null
}

export interface HeadDecision {
  decision: DecisionKind
  reason: 'first_deployment' | 'new_head' | 'auto_deploy_off' | 'skip_marker' | 'watch_paths'
}

/** Decides whether a head that was not considered before is deployed. */
export function planDecision(facts: HeadFacts): HeadDecision {
  if (facts.first) return { decision: 'deploy', reason: 'first_deployment' }
  if (!facts.autoDeploy) return { decision: 'skip', reason: 'auto_deploy_off' }
  if (everyCommitSkips(facts.messages)) return { decision: 'skip', reason: 'skip_marker' }
  if (nothingWatchedChanged(facts)) return { decision: 'skip', reason: 'watch_paths' }
  return { decision: 'deploy', reason: 'new_head' }
}

function everyCommitSkips(messages: HeadFacts['messages']): boolean {
  if (messages === null || messages === 'not_computable') return false
  return messages.length > 0 && messages.every(hasSkipMarker)
}

function nothingWatchedChanged({ watchPaths, changedPaths }: HeadFacts): boolean {
  if (watchPaths === null || changedPaths === null || changedPaths === 'not_computable')
    return false
  return !changedPaths.some((path) => isWatched(path, watchPaths))
}

const SKIP_MARKER = /\[(?:skip ci|ci skip|no ci|skip deploy|deploy skip|skip cd|cd skip)\]/i

/** True when a commit message asks not to be deployed, as `[skip ci]` does. */
export function hasSkipMarker(message: string): boolean {
  return SKIP_MARKER.test(message)
}

/** True when `path` matches one of the patterns and none of those that start with `!`. */
export function isWatched(path: string, patterns: readonly string[]): boolean {
  const including = patterns.filter((pattern) => !pattern.startsWith('!'))
  const excluding = patterns.filter((pattern) => pattern.startsWith('!')).map((p) => p.slice(1))
  const matches = (pattern: string) => matchesGlob(path, pattern)
  return (including.length === 0 || including.some(matches)) && !excluding.some(matches)
}

/** Patterns of an app in `rootDirectory` as patterns of the repository; `../shared/**` reaches its neighbours. */
export function patternsFromRoot(rootDirectory: string, patterns: readonly string[]): string[] {
  return patterns.map((pattern) => {
    const [sign, glob] = pattern.startsWith('!') ? ['!', pattern.slice(1)] : ['', pattern]
    // A leading slash means the repository's root, as in .gitignore.
    return (
      sign + posix.normalize(glob.startsWith('/') ? glob.slice(1) : posix.join(rootDirectory, glob))
    )
  })
}
