import { inspect } from 'node:util'

/** What is printed wherever a secret would be. */
export const REDACTED = '[secret]'

/**
 * A value that must not leave by accident: a template, JSON, `console.log` and the logger print `[secret]`. `reveal()`
 * is called where the value is used, and nowhere before.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return REDACTED
  }

  toJSON(): string {
    return REDACTED
  }

  [inspect.custom](): string {
    return REDACTED
  }
}
