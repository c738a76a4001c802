/** Asks until the answer is yes; what it throws is the reason when time is up. */
export async function waitFor(
  what: string,
  timeoutMs: number,
  predicate: () => boolean | Promise<boolean>,
  intervalMs = 100,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let cause: unknown
  for (;;) {
    try {
      if (await predicate()) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, { cause })
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs))
  }
}
