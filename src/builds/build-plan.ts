/**
 * What will be done to turn a commit into a release: decided purely from the repository's facts and the settings, shown
 * to people before it runs, and stored with the release.
 */
export interface BuildPlan {
  kind: 'static' | 'node'
  /** Directory of the repository that the app lives in, `.` for the root; all paths below are relative to it. */
  rootDirectory: string
  packageManager: 'npm' | 'pnpm' | 'yarn' | null
  /** In order; each command is an argument array, never a shell string. */
  steps: readonly BuildStep[]
  /** What of the built tree becomes the release, `.` for all of it. */
  outputDirectory: string
  /** Null for a static site, which the traffic process serves itself. */
  start: Argv | null
  /** Runs once, before the new version starts: migrations. */
  release: Argv | null
  /** Polled until it answers 2xx or 3xx. */
  healthPath: string
  /** Static: unknown paths answer `index.html`. */
  singlePageApp: boolean
  /** Only changes that match one of these deploy; null means all. */
  watchPaths: readonly string[] | null
  /** One sentence per decision, for people: `Node 26, because package.json asks for >=22`. */
  explanation: readonly string[]
}

export type Argv = readonly [string, ...string[]]

export interface BuildStep {
  name: 'install' | 'build'
  argv: Argv
}
