import { readFile } from 'node:fs/promises'

/** Resident and proportional memory of a process in MB, as the kernel counts them. */
export async function memoryOf(pid: number): Promise<{ rss: number; pss: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const megabytes = (name: string) => {
    const kilobytes = Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
    return Math.round(kilobytes / 102.4) / 10
  }
  return { rss: megabytes('Rss'), pss: megabytes('Pss') }
}
