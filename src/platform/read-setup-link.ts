import { request } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

const ANSWER_MS = 2000

/** The setup link as the running control plane tells it; null when NanoScale is set up, or does not answer. */
export async function readSetupLink(dataDirectory: string): Promise<string | null> {
  const socketPath = join(dataDirectory, 'run', 'operator.sock')
  const body = await ask(socketPath).catch(() => '{}')
  try {
    const { url } = JSON.parse(body) as { url?: unknown }
    return typeof url === 'string' ? url : null
  } catch {
    return null
  }
}

function ask(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = '/api/instance/setup-link'
    const asked = request({ socketPath, path, timeout: ANSWER_MS, agent: false })
    asked.once('timeout', () => asked.destroy(new Error('it does not answer')))
    asked.once('error', reject)
    asked.once('response', (response) => {
      text(response).then(resolve, reject)
    })
    asked.end()
  })
}
