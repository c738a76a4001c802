// Renders src/page.html into dist/, as a bundler would.
import { mkdir, readFile, writeFile } from 'node:fs/promises'

const { name, version } = JSON.parse(await readFile('package.json', 'utf8'))
const values = { name, version, node: process.version, builtAt: new Date().toISOString() }

const template = await readFile('src/page.html', 'utf8')
const page = template.replace(/\{\{(\w+)\}\}/g, (_, key) => values[key] ?? '')

await mkdir('dist', { recursive: true })
await writeFile('dist/index.html', page)
console.log(`Rendered dist/index.html of ${name} ${version}`)
