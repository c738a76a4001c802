/** 1: the operation failed. 2: the command was not understood. 3: NanoScale was not reached. */
export type ExitCode = 1 | 2 | 3

/** Why a command ends without having done it: a sentence, and what to do about it. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: ExitCode
  readonly fix: string | undefined

  constructor(exitCode: ExitCode, message: string, fix?: string) {
    super(message)
    this.exitCode = exitCode
    this.fix = fix
  }
}
