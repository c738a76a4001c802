import { randomUUIDv7 } from 'node:crypto'

/** Makes a new id: a UUIDv7, so that ids of one table sort by creation. */
export type NewId = () => string

export const newId: NewId = () => randomUUIDv7()
