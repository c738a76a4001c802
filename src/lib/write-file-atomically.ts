import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Replaces a file so that a crash leaves the old one or the new one, never a part: written beside it, flushed, renamed,
 * and the rename flushed too. One writer at a time per path.
 */
export async function writeFileAtomically(
  path: string,
  content: string,
  options: { mode?: number } = {},
): Promise<void> {
  const temporary = `${path}.new`
  {
    await using file = await open(temporary, 'w', options.mode ?? 0o600)
    await file.writeFile(content)
    await file.sync()
  }
  await rename(temporary, path)
  await using directory = await open(dirname(path), 'r')
  await directory.sync()
}
