import { spawn } from 'node:child_process'

import type { AddCommand } from '../add-command.ts'
import { findProject, show, type Session } from '../session.ts'

export const addOpen: AddCommand = (program, run) => {
  program
    .command('open [project]')
    .description('Print the address of the app, and open it where there is a desktop')
    .action(run(openProject))
}

async function openProject(session: Session, [name]: (string | undefined)[]): Promise<void> {
  const { url } = await findProject(session, name)
  show(session, { url }, () => url)
  if (!session.json) openInBrowser(url)
}

function openInBrowser(url: string): void {
  const hasDesktop =
    process.platform === 'darwin' ||
    process.env['DISPLAY'] !== undefined ||
    process.env['WAYLAND_DISPLAY'] !== undefined
  if (!hasDesktop || !process.stdout.isTTY) return
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open'
  const child = spawn(program, [url], { stdio: 'ignore', detached: true })
  // The address is printed: a desktop without a browser is no failure.
  child.on('error', () => {})
  child.unref()
}
