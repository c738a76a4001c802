import { messageOf, OperationError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Secret } from '../lib/secret.ts'
import { isMailAddress } from './mail-address.ts'
import { planConnection } from './plan-connection.ts'

export interface MailMessage {
  /** One bare address. */
  to: string
  subject: string
  /** Plain text; lines end with `\n`. */
  text: string
}

/** Sends mail when a server is configured. */
export interface Mailer {
  /** False: links are shown to whoever makes them, who passes them on. */
  readonly configured: boolean
  /**
   * Resolves when the mail server took the message, within ten seconds. Throws `mail.not_configured` or `mail.failed`;
   * neither says anything of the server's password.
   */
  send(message: MailMessage, signal?: AbortSignal): Promise<void>
}

interface MailerDeps {
  smtpUrl: Secret | null
  mailFrom: string | null
  log: Pick<Logger, 'warn'>
  /** Milliseconds for all of one message. */
  deadlineMs?: number
}

const DEADLINE_MS = 10_000

/** The library is loaded when the first mail is sent: most instances never do. */
export function createMailer(deps: MailerDeps): Mailer {
  const { smtpUrl, mailFrom, log, deadlineMs = DEADLINE_MS } = deps
  if (smtpUrl === null || mailFrom === null) return UNCONFIGURED
  return {
    configured: true,
    async send(message, signal) {
      if (!isMailAddress(message.to)) throw failed(message.to, 'this is not one mail address')
      const timeout = AbortSignal.timeout(deadlineMs)
      const until = signal === undefined ? timeout : AbortSignal.any([timeout, signal])
      try {
        await transmit({ url: smtpUrl, from: mailFrom, deadlineMs }, message, until)
      } catch (error) {
        const { host } = new URL(smtpUrl.reveal())
        log.warn('A mail was not sent', { host, reason: withoutPassword(error, smtpUrl) })
        const reason = timeout.aborted ? 'the mail server did not answer in time' : reasonOf(error)
        throw failed(message.to, reason)
      }
    },
  }
}

const UNCONFIGURED: Mailer = {
  configured: false,
  send: () =>
    Promise.reject(
      new OperationError(
        'mail.not_configured',
        'Cannot send mail: NANOSCALE_SMTP_URL is not set, so links have to be passed on by hand',
      ),
    ),
}

async function transmit(
  server: { url: Secret; from: string; deadlineMs: number },
  message: MailMessage,
  signal: AbortSignal,
): Promise<void> {
  const { createTransport } = await import('nodemailer')
  const { deadlineMs } = server
  const transport = createTransport({
    ...planConnection(new URL(server.url.reveal())),
    connectionTimeout: deadlineMs,
    greetingTimeout: deadlineMs,
    socketTimeout: deadlineMs,
    dnsTimeout: deadlineMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  await transport.sendMail({
    from: server.from,
    to: message.to,
    subject: message.subject.replaceAll(/\p{C}+/gu, ' '),
    text: message.text,
    // Nobody's absence is to answer.
    headers: { 'auto-submitted': 'auto-generated' },
    signal,
  })
}

function failed(to: string, reason: string): OperationError {
  return new OperationError('mail.failed', `Cannot send mail to "${printable(to)}": ${reason}`)
}

/** What a person can act on. The server's own words are in the log alone: they may repeat what we sent. */
function reasonOf(error: unknown): string {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown }
  if (/certificate/i.test(messageOf(error))) {
    return 'the certificate of the mail server could not be verified'
  }
  const number = typeof responseCode === 'number' ? ` (${responseCode})` : ''
  switch (code) {
    case 'EAUTH':
    case 'ENOAUTH':
      return `the mail server refused the user name or the password${number}`
    case 'EENVELOPE':
      return `the mail server refused the address of the sender or the recipient${number}`
    case 'EMESSAGE':
      return `the mail server refused the message${number}`
    case 'ETLS':
      return 'the mail server offered no encryption'
    case 'EABORT':
      return 'the request was given up'
    case 'ETIMEDOUT':
      return 'the mail server did not answer in time'
    default:
      return `the connection to the mail server failed${number}`
  }
}

function withoutPassword(error: unknown, smtpUrl: Secret): string {
  const { username, password } = planConnection(new URL(smtpUrl.reveal())).account
  if (password === '') return messageOf(error)
  const forms = [
    password,
    encodeURIComponent(password),
    Buffer.from(password).toString('base64'),
    Buffer.from(`\0${username}\0${password}`).toString('base64'),
  ]
  return forms.reduce((text, form) => text.replaceAll(form, '[secret]'), messageOf(error))
}

function printable(text: string): string {
  return text.replaceAll(/\p{C}+/gu, ' ').slice(0, 254)
}
