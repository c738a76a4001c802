import { flushCompileCache } from 'node:module'

/** Set for the second one: a cache that cannot be written is lived with. The launcher sets it too. */
const DONE = 'COMPILE_CACHE_WAS_FILLED'

/**
 * Replaces this process by a fresh one when its modules did not come from the compile cache: stripping types from one
 * file loads a compiler that takes about 30 MB and is never given back (measured as RSS: control 126 → 101 MB, traffic
 * 110 → 86, foreground 116 → 83). Call it once all modules are loaded and before anything else was done.
 */
export async function startFromCache(): Promise<void> {
  const isDone = process.env[DONE] !== undefined
  delete process.env[DONE]
  if (isDone || process.env['NODE_COMPILE_CACHE'] === undefined || !hasStrippedTypes()) return
  flushCompileCache()
  if (process.connected) return await askLauncher()
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  // Same pid: whoever watches this process notices nothing.
  process.execve?.(process.execPath, argv, { ...process.env, [DONE]: '1' })
}

/** The channel to the launcher would not outlive a replacement; see `launcher/keep-running.js`. */
async function askLauncher(): Promise<never> {
  process.send?.('again', () => process.exit(0))
  return await new Promise(() => {})
}

/** Node's compiler for types is a module of its own, loaded with the first file that needs it. */
function hasStrippedTypes(): boolean {
  const loaded: unknown = Reflect.get(process, 'moduleLoadList')
  return Array.isArray(loaded) && loaded.some((name) => String(name).includes('amaro'))
}
