import { setTimeout as delay } from 'node:timers/promises'

import type { Sources } from '../deployments/engine-deps.ts'

/** A host whose branches all have this head. */
export function sourcesAt(head: string): Sources {
  const commit = { sha: head, treeId: 'tree', message: 'x', authorName: 'Ada', committedAt: '' }
  return {
    readBranchHead: async () => {
      await delay(20)
      return { kind: 'found', sha: head }
    },
    fetchCommit: () => Promise.resolve(commit),
    commitMessagesSince: () => Promise.resolve('not_computable'),
    changedPathsBetween: () => Promise.resolve('not_computable'),
  }
}
