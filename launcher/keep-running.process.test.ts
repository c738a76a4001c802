import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { describe, it } from 'node:test'

const MODULE = new URL('keep-running.js', import.meta.url).href

/** Runs the launcher's loop in a process of its own, over a foreground process that does `body` after its first line. */
function launch(body: string): { launcher: ChildProcess; lines: AsyncIterator<string> } {
  const foreground = `console.log(process.pid); ${body}`
  const argv = JSON.stringify([process.execPath, '-e', foreground])
  const loop = `import { keepRunning } from '${MODULE}'; await keepRunning(${argv}, process.env)`
  const launcher = spawn(process.execPath, ['--input-type=module', '-e', loop], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 20_000,
  })
  const output = createInterface({ input: launcher.stdout })
  return { launcher, lines: output[Symbol.asyncIterator]() }
}

async function nextPid(lines: AsyncIterator<string>): Promise<number> {
  const { value } = await lines.next()
  return Number(value)
}

const RUN = `setInterval(() => {}, 1e6); process.send('ready', () => console.log('ready'));`
const STOP = `process.on('SIGTERM', () => { console.log('asked'); process.exit(0) });`

describe('keepRunning()', () => {
  it('starts the foreground process again when it was killed', async () => {
    const { launcher, lines } = launch(`${RUN} ${STOP}`)
    const first = await nextPid(lines)
    await lines.next()
    process.kill(first, 'SIGKILL')
    const second = await nextPid(lines)
    assert.notEqual(second, first)
    await lines.next()
    launcher.kill('SIGTERM')
    assert.deepEqual(await once(launcher, 'exit'), [0, null])
  })

  it('passes a signal on, once, and ends like the foreground process', async () => {
    const { launcher, lines } = launch(`${RUN} ${STOP}`)
    await nextPid(lines)
    await lines.next()
    launcher.kill('SIGTERM')
    assert.equal((await lines.next()).value, 'asked')
    assert.equal((await lines.next()).done, true)
    await once(launcher, 'exit')
    assert.equal(launcher.exitCode, 0)
  })

  it('does not repeat one that never was ready', async () => {
    const { launcher } = launch('process.exit(2)')
    assert.deepEqual(await once(launcher, 'exit'), [2, null])
  })

  it('starts it again at once when it asks to, and tells it that it did', async () => {
    const again = `if (!process.env.COMPILE_CACHE_WAS_FILLED) process.send('again', () => process.exit(0))`
    const { launcher, lines } = launch(
      `${again}; else process.send('ending', () => process.exit(4))`,
    )
    assert.notEqual(await nextPid(lines), await nextPid(lines))
    assert.deepEqual(await once(launcher, 'exit'), [4, null])
  })

  it('lets one end that said so', async () => {
    const { launcher } = launch(`${RUN} process.send('ending', () => process.exit(3))`)
    assert.deepEqual(await once(launcher, 'exit'), [3, null])
  })
})
