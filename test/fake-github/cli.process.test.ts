import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { it } from 'node:test'

const CLI = join(import.meta.dirname, 'cli.ts')

it('npm run fake-github says where it is and what to try, until Ctrl+C', async () => {
  const child = spawn(process.execPath, [CLI], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  let output = ''
  child.stdout.setEncoding('utf8')
  for await (const text of child.stdout as AsyncIterable<string>) {
    output += text
    if (!output.includes('Ctrl+C')) continue
    const [, authorization = '', url = ''] = /-H 'authorization: ([^']+)' (\S+)/.exec(output) ?? []
    const response = await fetch(url, { headers: { authorization, connection: 'close' } })
    assert.equal(((await response.json()) as { login: string }).login, 'ada')
    child.kill('SIGINT')
  }
  assert.deepEqual(await ended, [0, null])
})
