import type { ExaminedApp } from '../integrations/examine-apps.ts'
import { appPageUrl, needsOfApp, permissionsUrl } from '../integrations/github-app-config.ts'
import type { AppRow } from '../integrations/github-apps.ts'
import type { ReachedInstallation } from '../integrations/installation-records.ts'
import { findDrift } from '../integrations/permission-presets.ts'
import type { UnclaimedInstallation } from '../integrations/unclaimed-installations.ts'

/** A GitHub App as the API shows it. */
export function viewApp(row: AppRow) {
  const { config } = row
  return {
    id: row.id,
    name: row.name,
    status: row.status,
    status_reason: row.statusReason,
    from_environment: config.environment === true,
    app_id: config.appId,
    slug: config.slug,
    owner_login: config.ownerLogin,
    url: appPageUrl(config),
    github_url: config.webUrl,
    preset: config.permissionsPreset,
    optional_permissions: config.optionalPermissions,
    created_at: row.createdAt,
  }
}

/** The same with what GitHub says of it. */
export function viewExaminedApp(examined: ExaminedApp) {
  const app = viewApp(examined.row)
  if (examined.kind === 'failed') {
    return { ...app, drift: null, webhook_url: null, problem: examined.problem.message }
  }
  const { drift } = examined
  return {
    ...app,
    drift: {
      missing_permissions: drift.missingPermissions,
      missing_events: drift.missingEvents,
      excess_permissions: drift.excessPermissions,
      fix_url: permissionsUrl(examined.row.config),
    },
    webhook_url: examined.hookUrl,
    problem: null,
  }
}

/** An installation as somebody of the organization sees it. */
export function viewInstallation(
  { row, role }: ReachedInstallation,
  apps: readonly AppRow[],
  organizationId: string,
) {
  const app = apps.find(({ id }) => id === row.integration_id)
  const { permissions, events } = row
  const missing =
    app === undefined
      ? {}
      : findDrift(needsOfApp(app.config), { permissions, events }).missingPermissions
  return {
    id: row.id,
    integration_id: row.integration_id,
    installation_id: row.installation_id,
    account_login: row.account_login,
    account_type: row.account_type,
    repository_selection: row.repository_selection,
    html_url: row.html_url,
    suspended_at: row.suspended_at,
    claimed: row.organization_id === organizationId,
    account_role: role,
    missing_permissions: missing,
    synced_at: row.synced_at,
    sync_error: row.sync_error,
  }
}

export function viewUnclaimed(row: UnclaimedInstallation) {
  return {
    id: row.id,
    integration_id: row.integration_id,
    installation_id: row.installation_id,
    account_login: row.account_login,
    account_type: row.account_type,
    sender_login: row.sender_login,
    html_url: row.html_url,
    expires_at: row.expires_at,
  }
}
