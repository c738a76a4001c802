import { once } from 'node:events'
import { createServer } from 'node:net'

import { systemErrorCode } from '../lib/errors.ts'
import { failed, ok, type Finding } from './finding.ts'

interface PortCheck {
  check: string
  setting: string
  bind: string
  port: number
  /** Our own process is there already. */
  ours: boolean
}

export async function checkPort({ check, setting, bind, port, ours }: PortCheck): Promise<Finding> {
  const place = `${bind.includes(':') ? `[${bind}]` : bind}:${port}`
  const code = await tryToListen(bind, port)
  if (code === null) return ok(check, `${place} is free`)
  if (code === 'EADDRINUSE') {
    return ours
      ? ok(check, `${place} is served by NanoScale`)
      : failed(check, `${place} is used by another program`, `End that program, or set ${setting}`)
  }
  if (code === 'EACCES') {
    return failed(
      check,
      `This user may not listen on ${place}`,
      `Set ${setting} to 1024 or more, or start as root`,
    )
  }
  return failed(
    check,
    `${place} cannot be used: ${code}`,
    `Set NANOSCALE_BIND to an address of this machine`,
  )
}

async function tryToListen(host: string, port: number): Promise<string | null> {
  const server = createServer()
  server.listen({ host, port, exclusive: true })
  try {
    await once(server, 'listening')
  } catch (error) {
    return systemErrorCode(error) ?? 'unknown'
  }
  server.close()
  await once(server, 'close')
  return null
}
