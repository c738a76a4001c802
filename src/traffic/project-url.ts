/** Where a project's app is reached, as `NANOSCALE_TRAFFIC_URL` says with the host label in place of the `*`. */
export function urlOfProject(config: { trafficUrl: string }, hostLabel: string): string {
  return config.trafficUrl.replace('*', hostLabel)
}
