import type { Command } from 'commander'

import type { Session } from './session.ts'

/** What a command does with the arguments and options that it was given. */
export type Run = (
  action: (session: Session, args: string[], options: never) => Promise<void>,
) => (...given: unknown[]) => Promise<void>

/** Adds commands to the program. */
export type AddCommand = (program: Command, run: Run) => void
