import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

/** The first of the directories that has this program. */
export async function findExecutable(
  name: string,
  directories: readonly string[],
): Promise<string | null> {
  for (const directory of directories) {
    const path = join(directory, name)
    try {
      await access(path, constants.X_OK)
      return path
    } catch {
      // Not here.
    }
  }
  return null
}
