/** Bytes that are in memory at a time, all together and for each key. */
export interface ByteBudget {
  /** False when they are not there: nothing was taken then. */
  take(key: string, bytes: number): boolean
  give(key: string, bytes: number): void
}

/** No key may hold more than `perKey` of the `total`, so that one sender cannot keep all others out. */
export function createByteBudget(limits: { total: number; perKey: number }): ByteBudget {
  let used = 0
  const byKey = new Map<string, number>()
  return {
    take: (key, bytes) => {
      const own = (byKey.get(key) ?? 0) + bytes
      if (used + bytes > limits.total || own > limits.perKey) return false
      used += bytes
      byKey.set(key, own)
      return true
    },
    give: (key, bytes) => {
      used -= bytes
      const own = (byKey.get(key) ?? 0) - bytes
      if (own > 0) byKey.set(key, own)
      else byKey.delete(key)
    },
  }
}
