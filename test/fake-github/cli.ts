import { parseArgs } from 'node:util'

import { startFakeGithub } from './start-fake-github.ts'
import type { FakeGithub } from './start-fake-github.ts'

const HELP = `A stand-in of GitHub on loopback: npm run fake-github -- [--port 4000] [--webhook URL] [--empty]

  --port     of the website; the API is below it, at /api/v3 (any free port)
  --webhook  where the small world's App delivers to
  --empty    without the small world
`

/** Ada owns the organization `acme` with a private and a public repository, and an App that Bob may install too. */
async function seedSmallWorld(fake: FakeGithub, webhook: string | undefined): Promise<void> {
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
    callbackUrls: ['http://localhost:8080/callback'],
    ...(webhook === undefined ? {} : { hook: { url: webhook, secret: 'small-world-secret' } }),
  })
  const installation = fake.installApp(app, 'acme')
  const ada = fake.createPersonalToken('ada').token
  const bob = fake.createPersonalToken('bob').token
  const host = fake.webUrl.replace('http://', '')
  console.log(`
People          ada (owns acme), bob (member of acme); there are no passwords
Repositories    acme/shop (private), acme/docs, bob/notes (private)
App             Small World: id ${app.id}, client id ${app.clientId}
                client secret ${app.clientSecret}
                installed on acme as ${installation.id}, webhook secret ${app.webhookSecret ?? '(no webhook)'}
Its key
${app.privateKey}
Try
  curl -H 'authorization: Bearer ${ada}' ${fake.apiUrl}/user
  git clone http://ada:${ada}@${host}/acme/shop.git
  git clone http://bob:${bob}@${host}/bob/notes.git
A push is delivered to the App's webhook and to the hooks of the repository.`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      webhook: { type: 'string' },
      empty: { type: 'boolean', default: false },
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
  console.log(`Website  ${fake.webUrl}  (instead of https://github.com)
API      ${fake.apiUrl}  (instead of https://api.github.com)`)
  if (!values.empty) await seedSmallWorld(fake, values.webhook)
  console.log('\nCtrl+C stops it and forgets everything. More: test/fake-github/README.md')
}

await main()
