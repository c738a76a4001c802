import { EventEmitter } from 'node:events'

export interface DeploymentLogRow {
  sequence: number
  stream: 'platform' | 'output'
  text: string
  logged_at: string
}

/** Tells this process's listeners what changed; whoever missed it reads the database. */
export interface DeploymentEvents {
  /** Calls `listener` with each appended batch of a deployment's log. Returns the end of the subscription. */
  onLog(deploymentId: string, listener: (rows: readonly DeploymentLogRow[]) => void): () => void
  /** Calls `listener` when a deployment, the live version or an instance of the project changed. */
  onChange(projectId: string, listener: () => void): () => void
  emitLog(deploymentId: string, rows: readonly DeploymentLogRow[]): void
  emitChange(projectId: string): void
}

export function createDeploymentEvents(): DeploymentEvents {
  const logs = emitter()
  const changes = emitter()
  return {
    onLog: (deploymentId, listener) => subscribe(logs, deploymentId, listener),
    onChange: (projectId, listener) => subscribe(changes, projectId, listener),
    emitLog: (deploymentId, rows) => logs.emit(deploymentId, rows),
    emitChange: (projectId) => changes.emit(projectId),
  }
}

function emitter(): EventEmitter {
  // Ids are the event names, so each open page is a listener: no limit means a leak here.
  return new EventEmitter().setMaxListeners(0)
}

type Listener = Parameters<EventEmitter['on']>[1]

function subscribe(from: EventEmitter, name: string, listener: Listener): () => void {
  from.on(name, listener)
  return () => void from.off(name, listener)
}
