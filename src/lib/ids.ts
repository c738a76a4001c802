import { randomUUIDv7 } from 'node:crypto'

/** Makes a new id: a UUIDv7, so that ids of one table sort by creation. */
export type NewId = () => string

export const newId: NewId = createNewId(randomUUIDv7)

/**
 * Puts a counter behind the time: what is made in one millisecond, or while the clock goes back, sorts by its making
 * too, as long as one process makes it. The rest stays random.
 */
export function createNewId(randomId: () => string): NewId {
  let ms = 0
  let count = 0
  return () => {
    const id = randomId()
    const now = Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
    count += 1
    if (now > ms || count > 0xfff) {
      ms = Math.max(now, ms + 1)
      count = 0
    }
    const time = ms.toString(16).padStart(12, '0')
    const counter = count.toString(16).padStart(3, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}${id.slice(18)}`
  }
}
