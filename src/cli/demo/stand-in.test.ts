import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { CliError } from '../cli-error.ts'
import { requireStandIn } from './stand-in.ts'

describe('requireStandIn()', () => {
  it('is content in a checkout', () => {
    requireStandIn()
  })

  it('says where else to run the demo when the program came without its tests', () => {
    assert.throws(
      () => requireStandIn('/nonexistent/cli.ts'),
      (error) => error instanceof CliError && /in a checkout/.test(error.fix ?? ''),
    )
  })
})
