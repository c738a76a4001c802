import type { Permissions } from '../githosts/github-host.ts'

/**
 * What an App of ours asks of GitHub. `permissions` and `events` are needed; `furtherEvents` are asked for when we make
 * the App, and missed by nobody when an App that was made by hand goes without.
 *
 *   deploy  reads code, and keeps a webhook of its own at each repository that is deployed
 *   least   reads code; the App's own webhook tells of pushes
 *   agents  what programs that work on code need: branches, issues, pull requests
 */
export const PERMISSION_PRESETS = {
  deploy: {
    permissions: { contents: 'read', metadata: 'read', repository_hooks: 'write' },
    events: ['push'],
    furtherEvents: ['repository'],
  },
  least: {
    permissions: { contents: 'read', metadata: 'read' },
    events: ['push'],
    furtherEvents: ['repository'],
  },
  agents: {
    permissions: {
      actions: 'read',
      checks: 'read',
      contents: 'write',
      issues: 'write',
      metadata: 'read',
      pull_requests: 'write',
      statuses: 'write',
    },
    events: ['push'],
    furtherEvents: ['repository'],
  },
} as const satisfies Record<string, Preset>

/** On top of a preset, for what only some want. */
export const OPTIONAL_PERMISSIONS = {
  /** Says at the commit how its deployment went. */
  statuses: 'write',
  /** Tells who owns an organization: without it only personal accounts can be claimed as a whole. */
  members: 'read',
} as const

export const PRESET_NAMES = ['deploy', 'least', 'agents'] as const
export type PresetName = (typeof PRESET_NAMES)[number]

export const OPTIONAL_PERMISSION_NAMES = ['statuses', 'members'] as const
export type OptionalPermission = (typeof OPTIONAL_PERMISSION_NAMES)[number]

interface Preset {
  permissions: Permissions
  events: readonly string[]
  furtherEvents: readonly string[]
}

/** What an App must be granted. */
export interface Needs {
  permissions: Permissions
  events: readonly string[]
}

/** The preset with the options that were chosen. */
export function needsOf(preset: PresetName, options: readonly OptionalPermission[]): Needs {
  const { permissions, events } = PERMISSION_PRESETS[preset]
  const chosen = options.map((name) => [name, OPTIONAL_PERMISSIONS[name]])
  return { permissions: { ...Object.fromEntries(chosen), ...permissions }, events }
}

/** The choice that somebody must have made who granted this by hand: no more is needed, and none of it is too much. */
export function choiceOf(granted: Permissions): {
  preset: PresetName
  options: OptionalPermission[]
} {
  const isGranted = (name: string) => (granted[name] ?? 'none') !== 'none'
  return {
    preset: isGranted('repository_hooks') ? 'deploy' : 'least',
    options: OPTIONAL_PERMISSION_NAMES.filter(isGranted),
  }
}

/** The distance between what is needed and what was granted. */
export interface Drift {
  /** By name, at the level that is needed. */
  missingPermissions: Record<string, string>
  missingEvents: string[]
  /** More than is needed, at the level that was granted. */
  excessPermissions: Record<string, string>
}

const LEVELS = ['none', 'read', 'write', 'admin']

/** Compares; an unknown level counts as none. */
export function findDrift(needs: Needs, granted: Needs): Drift {
  const levelOf = (permissions: Permissions, name: string) =>
    Math.max(0, LEVELS.indexOf(permissions[name] ?? 'none'))
  const beyond = (some: Permissions, others: Permissions) =>
    Object.fromEntries(
      Object.entries(some).filter(([name]) => levelOf(some, name) > levelOf(others, name)),
    )
  return {
    missingPermissions: beyond(needs.permissions, granted.permissions),
    missingEvents: needs.events.filter((event) => !granted.events.includes(event)),
    excessPermissions: beyond(granted.permissions, needs.permissions),
  }
}

/** Nothing that is needed is missing. */
export function isSufficient(drift: Drift): boolean {
  return Object.keys(drift.missingPermissions).length + drift.missingEvents.length === 0
}
