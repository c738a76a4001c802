import {
  copyFile,
  cp,
  link,
  mkdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Puts Node and npm where builds and apps can read them, `<data>/toolchain` with `bin` and `lib` as everywhere: the
 * checkout may lie below a closed home directory.
 */
export async function installToolchain(options: {
  dataDirectory: string
  nodePath: string
  npmDirectory: string
}): Promise<void> {
  const place = join(options.dataDirectory, 'toolchain')
  const wanted = await describe(options)
  const present = await readFile(join(place, 'versions.json'), 'utf8').catch(() => null)
  if (present === wanted) return
  const staging = `${place}.${process.pid}`
  const old = `${staging}.old`
  try {
    await fill(staging, options)
    await writeFile(join(staging, 'versions.json'), wanted)
    // Apps that run keep the files that they have open; one that starts between these two lines is started again.
    await rename(place, old)
    await rename(staging, place)
  } finally {
    await rm(staging, { recursive: true, force: true })
    await rm(old, { recursive: true, force: true })
  }
}

async function describe(options: { npmDirectory: string }): Promise<string> {
  const manifest = await readFile(join(options.npmDirectory, 'package.json'), 'utf8')
  const { version } = JSON.parse(manifest) as { version: string }
  return `${JSON.stringify({ node: process.versions.node, npm: version })}\n`
}

async function fill(
  staging: string,
  options: { nodePath: string; npmDirectory: string },
): Promise<void> {
  const [bin, modules] = [join(staging, 'bin'), join(staging, 'lib', 'node_modules')]
  await mkdir(bin, { recursive: true, mode: 0o755 })
  await mkdir(modules, { recursive: true, mode: 0o755 })
  await linkOrCopy(options.nodePath, join(bin, 'node'))
  await cp(options.npmDirectory, join(modules, 'npm'), { recursive: true })
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(bin, 'npm'))
  await symlink('../lib/node_modules/npm/bin/npx-cli.js', join(bin, 'npx'))
}

/** A hard link costs nothing; root copies, because the owner of the original could change what root runs. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  if (process.getuid?.() === 0) return copyFile(from, to)
  await link(from, to).catch(() => copyFile(from, to))
}
