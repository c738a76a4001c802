import { MASKED_VALUE } from '../contract/projects.ts'

/** A client that shows the mask in place of a value may send it back: the stored value stays. */
export function unmasked<Change extends { value?: string | undefined }>(
  changes: readonly Change[],
): Change[] {
  return changes.map((change) =>
    change.value === MASKED_VALUE ? { ...change, value: undefined } : change,
  )
}
