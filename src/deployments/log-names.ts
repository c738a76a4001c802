/** File names in the log directory `<data>/logs`. One per instance: a crash is explained by its own last lines. */
export function instanceLogName(instanceId: string): string {
  return `instance-${instanceId}.log`
}

/** Of a deployment's release command. */
export function releaseLogName(deploymentId: string): string {
  return `release-${deploymentId}.log`
}
