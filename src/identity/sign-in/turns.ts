import { OperationError } from '../../lib/errors.ts'

/**
 * Lets so many pass at once and so many wait for them. Whoever comes then is told to come again: `auth.busy`. Checking a
 * password is made to be expensive, and must not be a way to exhaust the machine.
 */
export function createTurns(limits: {
  atOnce: number
  waiting: number
}): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let running = 0
  const waiting: (() => void)[] = []
  const enter = async () => {
    if (running < limits.atOnce) {
      running += 1
      return
    }
    if (waiting.length >= limits.waiting) {
      throw new OperationError(
        'auth.busy',
        'Cannot check a password now: too many are being checked. Try again in a moment',
        { retryAfterSeconds: 2 },
      )
    }
    // Whoever leaves hands its place over: nobody can come between.
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = () => {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
  return async (work) => {
    await enter()
    try {
      return await work()
    } finally {
      leave()
    }
  }
}
