import { escapeHtml, page } from './page.ts'

/** Who looks: `nobodyYet` when not even the first person has been made. */
export type Viewer = { kind: 'nobodyYet' } | { kind: 'stranger' } | { kind: 'person'; name: string }

/** What a browser sees at `/`: what this is, who one is here, and what to type next. */
export function homePage(
  config: { publicBaseUrl: string; trafficUrl: string },
  viewer: Viewer,
): string {
  const app = escapeHtml(config.trafficUrl.replace('*', 'shop'))
  return page(
    'NanoScale',
    `<h1>NanoScale is running</h1>
<p>It fetches, builds, starts and serves apps from Git repositories: each new commit of a branch replaces the
version before it without a failed request.</p>
<p>${greeting(viewer)}</p>
<h2>Deploy an app</h2>
<p>On this machine, in the directory of NanoScale:</p>
<pre><code>./nanoscale projects create shop --repo https://git.example.com/you/shop.git --branch main</code></pre>
<p>It follows the first deployment and prints where the app answers, here <code>${app}</code>.</p>
<pre><code>./nanoscale logs -f shop
./nanoscale deployments shop
./nanoscale --help</code></pre>
<h2>From another machine</h2>
<p>Make a token here, then give it to the command there:</p>
<pre><code>./nanoscale tokens create laptop
NANOSCALE_URL=${escapeHtml(config.publicBaseUrl)} NANOSCALE_TOKEN=nsk_… nanoscale projects list</code></pre>
<p><a href="/api/docs">The HTTP API</a> · <a href="/api/openapi.json">as OpenAPI 3.1</a></p>`,
  )
}

function greeting(viewer: Viewer): string {
  if (viewer.kind === 'nobodyYet') {
    return 'It belongs to nobody yet. <a href="/setup">Set it up</a>'
  }
  if (viewer.kind === 'stranger') return '<a href="/sign-in">Sign in</a>'
  return `You are signed in as ${escapeHtml(viewer.name)}. <a href="/account">Your account</a>`
}
