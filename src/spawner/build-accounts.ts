import type { BuildAccount, Spawner } from './spawner.ts'

/** A build account that is nobody else's until it is disposed of, which ends all that runs under it. */
export interface BuildAccountLease extends AsyncDisposable {
  account: BuildAccount
}

export interface BuildAccounts {
  /** Waits for a free account, first come first served. Rejects with the signal's reason when that aborts. */
  acquire(signal: AbortSignal): Promise<BuildAccountLease>
}

interface Slot {
  account: BuildAccount
  /** False until everything under it was seen to be ended: after our own start, and after a failure to end it. */
  clean: boolean
}

/** A pool of `size` build accounts, numbered from 0. */
export function createBuildAccounts(
  spawner: Pick<Spawner, 'endAccount'>,
  size: number,
): BuildAccounts {
  const pool = createPool(size)
  const end = async (slot: Slot) => {
    slot.clean = false
    await spawner.endAccount(slot.account)
    slot.clean = true
  }
  return {
    async acquire(signal) {
      signal.throwIfAborted()
      const slot = await pool.take(signal)
      try {
        if (!slot.clean) await end(slot)
      } catch (error) {
        pool.give(slot)
        throw error
      }
      let isOver = false
      return {
        account: slot.account,
        async [Symbol.asyncDispose]() {
          if (isOver) return
          isOver = true
          await end(slot).finally(() => pool.give(slot))
        },
      }
    },
  }
}

function createPool(size: number) {
  const free: Slot[] = Array.from({ length: size }, (_, slot) => ({
    account: { kind: 'build', slot },
    clean: false,
  }))
  const waiting: ((slot: Slot) => void)[] = []
  return {
    give(slot: Slot): void {
      const next = waiting.shift()
      if (next === undefined) free.push(slot)
      else next(slot)
    },
    take(signal: AbortSignal): Promise<Slot> {
      const slot = free.shift()
      if (slot !== undefined) return Promise.resolve(slot)
      return new Promise((resolve, reject) => {
        const receive = (given: Slot) => {
          signal.removeEventListener('abort', onAbort)
          resolve(given)
        }
        const onAbort = () => {
          waiting.splice(waiting.indexOf(receive), 1)
          reject(signal.reason)
        }
        signal.addEventListener('abort', onAbort, { once: true })
        waiting.push(receive)
      })
    },
  }
}

/** What an earlier control plane left running; its places are removed when they are next made, or by name. */
export async function endBuildAccounts(
  spawner: Pick<Spawner, 'endAccount'>,
  size: number,
): Promise<void> {
  const slots = Array.from({ length: size }, (_, slot) => slot)
  await Promise.all(slots.map((slot) => spawner.endAccount({ kind: 'build', slot })))
}
