import type { z } from 'zod'

import type { deployment, deploymentSummary } from '../contract/deployments.ts'
import type { DeploymentDetails, DeploymentSummary } from '../deployments/deployment-records.ts'
import { isEnded } from '../deployments/deployment-state.ts'

export function summaryView(row: DeploymentSummary): z.infer<typeof deploymentSummary> {
  return {
    id: row.id,
    project_id: row.project_id,
    number: row.number,
    state: row.state,
    cause: row.cause,
    branch: row.branch,
    commit: {
      sha: row.commit_sha,
      message: row.commit_message,
      author: row.commit_author,
      committed_at: row.committed_at,
    },
    repeats_deployment_id: row.repeats_deployment_id,
    superseded_by_id: row.superseded_by_id,
    rebuild: row.rebuild,
    attempt: row.attempt,
    failure:
      row.failure_code === null
        ? null
        : { code: row.failure_code, message: row.failure_message ?? '' },
    created_at: row.created_at,
    started_at: row.started_at,
    ended_at: row.ended_at,
  }
}

export function detailsView(details: DeploymentDetails): z.infer<typeof deployment> {
  const { deployment: row, decision, release } = details
  return {
    ...summaryView(row),
    ended: isEnded(row.state),
    cancel_requested_at: row.cancel_requested_at,
    phases: phasesOf(details),
    decision:
      decision === null
        ? null
        : {
            head: decision.head,
            previous_head: decision.previous_head,
            decision: decision.decision,
            reason: decision.reason,
            trigger: decision.trigger,
            created_at: decision.created_at,
          },
    release:
      release === null
        ? null
        : {
            id: release.id,
            fingerprint: release.fingerprint,
            state: release.state,
            size_bytes: release.size_bytes,
            plan: release.plan,
            created_at: release.created_at,
          },
  }
}

function phasesOf({ transitions }: DeploymentDetails) {
  return transitions.map(({ state, entered_at }, index) => {
    const next = transitions[index + 1]?.entered_at
    const duration_ms = next === undefined ? null : Date.parse(next) - Date.parse(entered_at)
    return { state, entered_at, duration_ms }
  })
}
