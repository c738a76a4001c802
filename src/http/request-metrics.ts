const BUCKETS_MS = [5, 25, 100, 500, 2500, 10_000]

/** Counts answers, for `/metrics`. Labels are route ids and statuses: a small, closed set. */
export interface RequestMetrics {
  record(routeId: string, status: number, ms: number): void
  /** In the Prometheus text format. */
  print(): string
}

export function createRequestMetrics(): RequestMetrics {
  const counts = new Map<string, number>()
  const buckets = BUCKETS_MS.map(() => 0)
  let total = 0
  let sumMs = 0
  return {
    record: (routeId, status, ms) => {
      const labels = `route="${routeId}",status="${status}"`
      counts.set(labels, (counts.get(labels) ?? 0) + 1)
      total += 1
      sumMs += ms
      for (const [index, limit] of BUCKETS_MS.entries()) {
        if (ms <= limit) buckets[index] = (buckets[index] ?? 0) + 1
      }
    },
    print: () =>
      [
        ...head('nanoscale_http_requests_total', 'counter', 'Answers of the API'),
        ...[...counts].map(
          ([labels, value]) => `nanoscale_http_requests_total{${labels}} ${value}`,
        ),
        ...head('nanoscale_http_request_seconds', 'histogram', 'Time until the API answered'),
        ...BUCKETS_MS.map(
          (limit, index) =>
            `nanoscale_http_request_seconds_bucket{le="${limit / 1000}"} ${buckets[index] ?? 0}`,
        ),
        `nanoscale_http_request_seconds_bucket{le="+Inf"} ${total}`,
        `nanoscale_http_request_seconds_sum ${sumMs / 1000}`,
        `nanoscale_http_request_seconds_count ${total}`,
        '',
      ].join('\n'),
  }
}

/** The two lines that begin a metric. */
export function head(
  name: string,
  type: 'counter' | 'gauge' | 'histogram',
  help: string,
): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]
}
