import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'

import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

import { isOperationError } from '../lib/errors.ts'
import { createLogger } from '../lib/logger.ts'
import { Secret } from '../lib/secret.ts'
import { createMailer } from './create-mailer.ts'

const PASSWORD = 'p@ss/word %41 geheim'
const MESSAGE = {
  to: 'ada@example.com',
  subject: 'Grüße',
  text: 'Hello,\n\na link: https://x/#t=1\n',
}

interface Mail {
  from: string
  to: string[]
  user: string | undefined
  text: string
}

/** A real SMTP server on a free port of this machine, keeping what it takes. */
async function startSmtpServer(options: SMTPServerOptions = {}) {
  const mails: Mail[] = []
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    onAuth: (auth, _session, callback) => {
      const known = auth.username === 'post' && auth.password === PASSWORD
      if (known) callback(null, { user: auth.username ?? '' })
      else callback(new Error(`Unknown password ${auth.password ?? ''}`))
    },
    onData: (stream, session, callback) => {
      const parts: Buffer[] = []
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('end', () => {
        mails.push({
          from: session.envelope.mailFrom === false ? '' : session.envelope.mailFrom.address,
          to: session.envelope.rcptTo.map(({ address }) => address),
          user: session.user,
          text: Buffer.concat(parts).toString(),
        })
        callback()
      })
    },
    ...options,
  })
  // Clients that do not trust our certificate break off.
  server.on('error', () => {})
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    mails,
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      await closed.promise
    },
  }
}

function mailerTo(url: string, deadlineMs?: number) {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', write: (line) => lines.push(line) })
  const mailer = createMailer({
    smtpUrl: new Secret(url),
    mailFrom: 'nanoscale@example.com',
    log,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  })
  return { mailer, lines }
}

const account = `post:${encodeURIComponent(PASSWORD)}@`

describe('createMailer()', () => {
  it('signs in and hands over one plain text message', async () => {
    await using server = await startSmtpServer()
    const { mailer, lines } = mailerTo(`smtp://${account}127.0.0.1:${server.port}`)
    assert.equal(mailer.configured, true)
    await mailer.send(MESSAGE)
    const [mail] = server.mails
    assert.equal(server.mails.length, 1)
    assert.deepEqual(mail?.to, ['ada@example.com'])
    assert.equal(mail?.from, 'nanoscale@example.com')
    assert.equal(mail?.user, 'post')
    assert.match(mail?.text ?? '', /content-type: text\/plain; charset=utf-8/i)
    assert.match(mail?.text ?? '', /auto-submitted: auto-generated/i)
    assert.match(mail?.text ?? '', /a link: https:\/\/x\/#t=?3?D?1/)
    assert.deepEqual(lines, [])
  })

  it('says that a password was refused, without the password', async () => {
    await using server = await startSmtpServer()
    const wrong = 'wr0ng-geheim'
    const { mailer, lines } = mailerTo(`smtp://post:${wrong}@127.0.0.1:${server.port}`)
    await assert.rejects(mailer.send(MESSAGE), (error) => {
      assert.ok(isOperationError(error, 'mail.failed'))
      assert.match(error.message, /refused the user name or the password \(535\)/)
      assert.ok(!error.message.includes(wrong))
      assert.equal(error.cause, undefined)
      return true
    })
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /\[secret\]/, 'what the server repeats is struck out')
    assert.ok(!lines.join('').includes(wrong))
  })

  it('tells a refused recipient', async () => {
    await using server = await startSmtpServer({
      onRcptTo: (_address, _session, callback) => {
        callback(Object.assign(new Error('No such mailbox'), { responseCode: 550 }))
      },
    })
    const { mailer } = mailerTo(`smtp://127.0.0.1:${server.port}`)
    await assert.rejects(mailer.send(MESSAGE), {
      code: 'mail.failed',
      message:
        'Cannot send mail to "ada@example.com": the mail server refused the address of the sender or the ' +
        'recipient (550)',
    })
  })

  // 0.0.0.0 leads to this machine too, and is no name of it: the rules for servers elsewhere apply.
  it('refuses a certificate that nobody vouches for, by STARTTLS and from the first byte', async () => {
    await using upgrading = await startSmtpServer()
    await using encrypted = await startSmtpServer({ secure: true })
    const urls = [
      `smtp://${account}0.0.0.0:${upgrading.port}`,
      `smtps://127.0.0.1:${encrypted.port}`,
    ]
    for (const url of urls) {
      const { mailer, lines } = mailerTo(url)
      await assert.rejects(mailer.send(MESSAGE), {
        code: 'mail.failed',
        message: /the certificate of the mail server could not be verified$/,
      })
      assert.match(lines.join(''), /"reason":"[^"]*certificate/)
    }
    assert.deepEqual([...upgrading.mails, ...encrypted.mails], [])
  })

  it('gives no password to a server elsewhere that has no encryption', async () => {
    const seen: string[] = []
    await using server = await startSmtpServer({
      hideSTARTTLS: true,
      onAuth: (auth, _session, callback) => {
        seen.push(auth.password ?? '')
        callback(null, { user: 'post' })
      },
    })
    const { mailer } = mailerTo(
      `smtp://${account}0.0.0.0:${server.port}?ignoreTLS=true&requireTLS=false`,
    )
    await assert.rejects(mailer.send(MESSAGE), { code: 'mail.failed' })
    assert.deepEqual(seen, [])
    assert.deepEqual(server.mails, [])
  })

  it('gives up on a server that never answers', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => sockets.push(socket))
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const { port } = silent.address() as AddressInfo
    const { mailer } = mailerTo(`smtp://127.0.0.1:${port}`, 100)
    await assert.rejects(mailer.send(MESSAGE), {
      code: 'mail.failed',
      message: 'Cannot send mail to "ada@example.com": the mail server did not answer in time',
    })
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  it('gives up when nobody waits any more', async () => {
    const silent = createServer()
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const connected = once(silent, 'connection') as Promise<[Socket]>
    const { mailer } = mailerTo(`smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`)
    const gone = new AbortController()
    const sending = mailer.send(MESSAGE, gone.signal)
    const refused = assert.rejects(sending, { code: 'mail.failed', message: /was given up/ })
    const [socket] = await connected
    gone.abort()
    await refused
    socket.destroy()
    silent.close()
  })

  it('sends to one bare address only, and keeps the subject on one line', async () => {
    await using server = await startSmtpServer()
    const { mailer } = mailerTo(`smtp://127.0.0.1:${server.port}`)
    const lists = [
      'a@example.com, b@example.com',
      'Ada <a@example.com>',
      'a@example.com\r\nBcc: b@example.com',
      '"a b"@example.com',
      'a@example.com b@example.com',
      'group: a@example.com;',
      'a',
      '',
      `${'a'.repeat(300)}@example.com`,
    ]
    for (const to of lists) {
      await assert.rejects(mailer.send({ ...MESSAGE, to }), { code: 'mail.failed' }, to)
    }
    assert.equal(server.mails.length, 0)
    await mailer.send({ ...MESSAGE, subject: 'One\r\nBcc: b@example.com\r\n\r\nBody' })
    const [head = ''] = (server.mails[0]?.text ?? '').split('\r\n\r\n')
    assert.doesNotMatch(head, /^bcc:/im)
    assert.deepEqual(server.mails[0]?.to, ['ada@example.com'])
  })

  it('says what is missing when no server is configured', async () => {
    const mailer = createMailer({ smtpUrl: null, mailFrom: null, log: { warn: () => {} } })
    assert.equal(mailer.configured, false)
    await assert.rejects(mailer.send(MESSAGE), { code: 'mail.not_configured' })
  })
})
