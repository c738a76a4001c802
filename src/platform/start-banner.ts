import type { Config } from '../config/config.ts'
import type { Isolation } from '../spawner/spawner.ts'

type BannerConfig = Pick<
  Config,
  'dataDirectory' | 'port' | 'trafficPort' | 'bind' | 'publicBaseUrl' | 'trafficUrl'
>

interface Surroundings {
  env: Readonly<Record<string, string | undefined>>
  userName: string
  hostName: string
  isolation: Isolation
  /** By which the first person is made; null when there is one. */
  setupLink: string | null
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/** What `nanoscale start` prints once it is ready: where things are, what to type next, how to get there from afar. */
export function describeStart(config: BannerConfig, around: Surroundings): string {
  const lines = [
    'NanoScale is ready.',
    '',
    `  API     ${config.publicBaseUrl}`,
    `  Apps    ${config.trafficUrl.replace('*', '<name>')}`,
    `  Data    ${config.dataDirectory}`,
    '',
    ...describeSetup(around.setupLink),
    'Deploy an app, in another terminal:',
    '',
    '  ./nanoscale projects create shop --repo https://github.com/you/shop --branch main',
    '',
    'Ctrl-C ends the control plane and leaves apps running; twice within 3 s ends apps too.',
  ]
  return [
    ...lines,
    ...describeIsolation(around.isolation),
    ...describeAccess(config, around),
    '',
  ].join('\n')
}

function describeSetup(setupLink: string | null): string[] {
  if (setupLink === null) return []
  return [`Set it up at ${setupLink}`, 'Whoever opens this link first becomes its owner.', '']
}

function describeIsolation(isolation: Isolation): string[] {
  if (isolation !== 'none') return []
  return [
    '',
    'Nothing separates apps and builds here: each can read the keys. Deploy only what you trust (see ./nanoscale doctor).',
  ]
}

/** Without a desktop there is no browser to follow the links above. */
function describeAccess(config: BannerConfig, { env, userName, hostName }: Surroundings): string[] {
  const hasDesktop = isSet(env['DISPLAY']) || isSet(env['WAYLAND_DISPLAY'])
  const isRemote = isSet(env['SSH_CONNECTION'])
  if ((hasDesktop && !isRemote) || !LOOPBACK.has(config.bind)) return []
  const [, , address, sshPort] = env['SSH_CONNECTION']?.split(' ') ?? []
  const port = sshPort === undefined || sshPort === '22' ? '' : ` -p ${sshPort}`
  // Not `localhost`: on ::1 an app could listen at the port of the API, and wait for tokens.
  const tunnels = [config.port, config.trafficPort].map((p) => `-L ${p}:127.0.0.1:${p}`).join(' ')
  return [
    '',
    'It listens on this machine only. From yours, open a tunnel and use the same addresses:',
    '',
    `  ssh${port} ${tunnels} ${userName}@${address ?? hostName}`,
    '',
    'Or make it reachable and start again with (./nanoscale config explains each):',
    '',
    '  NANOSCALE_BIND=0.0.0.0 NANOSCALE_PUBLIC_BASE_URL=https://… NANOSCALE_BASE_DOMAIN=apps.example.com',
  ]
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== ''
}
