import { parseArgs } from 'node:util'

import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'

const HELP = `A stand-in of GitHub on loopback: npm run fake-github -- [--port 4000] [--webhook URL] [--callback URL]
  [--empty] [--json]

  --port      of the website; the API is below it, at /api/v3 (any free port)
  --webhook   where the small world's App delivers to
  --callback  where it sends people back to
  --empty     without the small world
  --json      one line of JSON instead of text, for programs
`

interface Addresses {
  webhook?: string | undefined
  callback: string
}

/** Ada owns the organization `acme` with a private and a public repository, and an App that Bob may install too. */
async function seedSmallWorld(fake: FakeGithub, { webhook, callback }: Addresses) {
  fake.addUser({ login: 'ada', name: 'Ada Example' })
  fake.addUser({ login: 'bob', name: 'Bob Example' })
  fake.addOrganization({ login: 'acme', members: { ada: 'admin', bob: 'member' } })
  const page = (title: string) => ({ 'index.html': `<!doctype html><h1>${title}</h1>\n` })
  await fake.addRepository({ owner: 'acme', name: 'shop', private: true, files: page('Shop') })
  await fake.addRepository({ owner: 'acme', name: 'docs', files: page('Docs') })
  await fake.addRepository({ owner: 'bob', name: 'notes', private: true, files: page('Notes') })
  const app = await fake.createApp({
    owner: 'ada',
    name: 'Small World',
    permissions: { contents: 'read', metadata: 'read', repository_hooks: 'write' },
    events: ['push', 'repository'],
    callbackUrls: [callback],
    ...(webhook === undefined ? {} : { hook: { url: webhook, secret: 'small-world-secret' } }),
  })
  const installation = fake.installApp(app, 'acme')
  const ada = fake.createPersonalToken('ada').token
  const bob = fake.createPersonalToken('bob').token
  return { app, installation, tokens: { ada, bob } }
}

type SmallWorld = Awaited<ReturnType<typeof seedSmallWorld>>

function describe(fake: FakeGithub, { app, installation, tokens }: SmallWorld): string {
  const host = fake.webUrl.replace('http://', '')
  return `
People          ada (owns acme), bob (member of acme); there are no passwords
Repositories    acme/shop (private), acme/docs, bob/notes (private)
App             Small World: id ${app.id}, client id ${app.clientId}
                client secret ${app.clientSecret}
                installed on acme as ${installation.id}, webhook secret ${app.webhookSecret ?? '(no webhook)'}
Its key
${app.privateKey}
Try
  curl -H 'authorization: Bearer ${tokens.ada}' ${fake.apiUrl}/user
  git clone http://ada:${tokens.ada}@${host}/acme/shop.git
  git clone http://bob:${tokens.bob}@${host}/bob/notes.git
A push is delivered to the App's webhook and to the hooks of the repository.`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      webhook: { type: 'string' },
      callback: { type: 'string', default: 'http://localhost:8080/callback' },
      empty: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP)
    return
  }
  const fake = await startFakeGithub({ port: Number(values.port) })
  const stop = () => void fake[Symbol.asyncDispose]()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const world = values.empty ? null : await seedSmallWorld(fake, values)
  const { webUrl, apiUrl } = fake
  if (values.json) {
    console.log(JSON.stringify({ webUrl, apiUrl, ...world }))
    return
  }
  console.log(`Website  ${webUrl}  (instead of https://github.com)
API      ${apiUrl}  (instead of https://api.github.com)`)
  if (world !== null) console.log(describe(fake, world))
  console.log('\nCtrl+C stops it and forgets everything. More: test/fake-github/README.md')
}

await main()
