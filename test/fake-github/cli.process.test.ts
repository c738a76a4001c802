import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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

it('npm run fake-github -- --json says the same to programs, in one line', async () => {
  const callback = 'http://localhost:9/callback'
  const child = spawn(process.execPath, [CLI, '--json', '--callback', callback], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { webUrl, apiUrl, app, tokens } = JSON.parse(line)
    const headers = { authorization: `Bearer ${tokens.bob}`, connection: 'close' }
    const response = await fetch(`${apiUrl}/user`, { headers })
    assert.equal(((await response.json()) as { login: string }).login, 'bob')
    assert.ok(apiUrl.startsWith(webUrl))
    const question = new URLSearchParams({ client_id: app.clientId, redirect_uri: callback })
    const page = await fetch(`${webUrl}/login/oauth/authorize?${question.toString()}`, {
      redirect: 'manual',
    })
    assert.equal(page.status, 200)
  } finally {
    child.kill('SIGTERM')
  }
  assert.deepEqual(await ended, [0, null])
})
