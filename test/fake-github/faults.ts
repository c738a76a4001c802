/** What only some endpoints can have wrong; it waits for a request to one of them. */
export type EndpointFault =
  /** A minted installation token is for everything the installation has, and says so. */
  | { kind: 'wider-token' }
  /** A minted token is unknown (401) for so many uses. */
  | { kind: 'fresh-token-lag'; uses: number }
  /** Branches as they were before the last push. */
  | { kind: 'stale-refs' }
  /** `/login/oauth/access_token` answers 200 with this error. */
  | { kind: 'oauth-error'; error: string; description?: string }

/** What the next requests meet. */
export type RequestFault =
  | EndpointFault
  /** This status instead of the answer. */
  | { kind: 'status'; status: number; headers?: Readonly<Record<string, string>>; body?: string }
  | { kind: 'redirect'; location: string; status?: number }
  /** 403 with no requests left until the reset. */
  | { kind: 'primary-rate-limit'; resetInSeconds?: number }
  /** 403 (or 429) with `retry-after`. */
  | { kind: 'secondary-rate-limit'; retryAfterSeconds?: number; status?: 403 | 429 }
  /** The right answer, late. */
  | { kind: 'delay'; ms: number }
  /** The right answer, so many bytes each 50 ms. */
  | { kind: 'slow-body'; bytesPerTick: number }
  /** The right answer, cut after so many bytes of the body. */
  | { kind: 'truncate'; bytes: number }
  /** No answer until the client goes away. */
  | { kind: 'hang' }
  /** The connection closes without a byte. */
  | { kind: 'reset' }

/** What the next deliveries meet. */
export type DeliveryFault =
  /** Lost without a trace: neither sent nor listed. */
  | { kind: 'drop' }
  /** Not sent, and listed as failed without an answer (status code 0). */
  | { kind: 'fail'; status?: string }
  /** Sent so much later, with `throttled_at`. */
  | { kind: 'delay'; ms: number }
  /** Sent again under the same GUID, so many times. */
  | { kind: 'duplicate'; copies?: number }
  /** Held until the next one to the same hook was sent, at most so long (1 s). */
  | { kind: 'reorder'; holdMs?: number }

const ENDPOINT_FAULTS: ReadonlySet<string> = new Set<EndpointFault['kind']>([
  'wider-token',
  'fresh-token-lag',
  'stale-refs',
  'oauth-error',
])

interface FaultOptions {
  /** How many requests or deliveries meet it; 1 when not said, `Infinity` until `clear()`. */
  times?: number
  /** Only those whose line (`GET /api/v3/user`; of deliveries `push https://…`) contains this. */
  only?: string
  /** How likely each of them meets it, between 0 and 1 (1), by the random numbers of `seed`. */
  rate?: number
}

export interface Faults {
  request(fault: RequestFault, options?: FaultOptions): void
  delivery(fault: DeliveryFault, options?: FaultOptions): void
  /** The stand-in's clock goes wrong by so much, also in its `Date` headers. */
  setClockSkew(ms: number): void
  clear(): void
}

interface Pending<Fault> {
  fault: Fault
  times: number
  only: string
  rate: number
}

export interface FaultQueue extends Faults {
  readonly clockSkewMs: number
  /** One that the server meets whatever the request asks. */
  takeRequest(line: string): RequestFault | null
  /** One that only some endpoints can have. */
  take<Kind extends EndpointFault['kind']>(
    kind: Kind,
    line: string,
  ): Extract<EndpointFault, { kind: Kind }> | null
  /** A delivery can meet one fault of each kind. */
  takeDelivery(line: string): DeliveryFault[]
}

export function createFaults(random: () => number): FaultQueue {
  const requests: Pending<RequestFault>[] = []
  const deliveries: Pending<DeliveryFault>[] = []
  let clockSkewMs = 0
  const meets = (pending: Pending<unknown>, line: string) => {
    if (pending.times <= 0 || !line.includes(pending.only)) return false
    if (pending.rate < 1 && random() >= pending.rate) return false
    pending.times -= 1
    return true
  }
  const pending = <Fault>(fault: Fault, options: FaultOptions = {}): Pending<Fault> => {
    return { fault, times: options.times ?? 1, only: options.only ?? '', rate: options.rate ?? 1 }
  }
  return {
    get clockSkewMs() {
      return clockSkewMs
    },
    request: (fault, options) => void requests.push(pending(fault, options)),
    delivery: (fault, options) => void deliveries.push(pending(fault, options)),
    setClockSkew: (ms) => {
      clockSkewMs = ms
    },
    clear: () => {
      requests.splice(0)
      deliveries.splice(0)
      clockSkewMs = 0
    },
    takeRequest: (line) => {
      const found = requests.find((pending) => {
        return !ENDPOINT_FAULTS.has(pending.fault.kind) && meets(pending, line)
      })
      return found?.fault ?? null
    },
    take: <Kind extends EndpointFault['kind']>(kind: Kind, line: string) => {
      const found = requests.find((pending) => pending.fault.kind === kind && meets(pending, line))
      return (found?.fault ?? null) as Extract<EndpointFault, { kind: Kind }> | null
    },
    takeDelivery: (line) => {
      const met: DeliveryFault[] = []
      for (const pending of deliveries) {
        if (met.some(({ kind }) => kind === pending.fault.kind)) continue
        if (meets(pending, line)) met.push(pending.fault)
      }
      return met
    },
  }
}

/** Random numbers that are the same in every run (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
