import { findRole, includesRole, repositoriesOf } from '../access.ts'
import { ApiError, forbidden, json, noContent, notFound } from '../answer.ts'
import { entry, findAccount } from '../github.ts'
import type { Github } from '../github.ts'
import { toAccountJson, toOrganizationJson, toUserJson } from '../json/account-json.ts'
import { toInstallationJson } from '../json/app-json.ts'
import { toRepositoryJson } from '../json/repository-json.ts'
import { page } from '../pagination.ts'
import { readId, toRoutes } from '../router.ts'
import type { Account, Installation, Repository, Schemas } from '../state.ts'
import { requireInstallation, requireUser, roleOfActor } from './require.ts'

/** What tokens of installations and of people see of the installations and of themselves. */
export const installationRoutes = toRoutes({
  'GET /installation/repositories': (github, call) => {
    const { installation, token } = requireInstallation(call)
    const all = repositoriesOf(github, installation).filter(({ id }) => {
      return token.repositoryIds === null || token.repositoryIds.includes(id)
    })
    return page(github, call, all, (items, total) => ({
      total_count: total,
      repository_selection: token.repositoryIds === null ? installation.selection : 'selected',
      repositories: items.map((item) => toRepositoryJson(github, item, null)),
    }))
  },
  'DELETE /installation/token': (github, call) => {
    github.state.installationTokens.delete(requireInstallation(call).token.token)
    return noContent()
  },
  'GET /user': (github, call) => json(toUserJson(github, requireUser(call).user)),
  'GET /user/emails': (github, call) => {
    const { user, app } = requireUser(call)
    if (app !== null && app.permissions['email_addresses'] === undefined) throw forbidden()
    const emails = user.emails.map((email): Schemas['email'] => ({
      ...email,
      visibility: email.primary ? 'private' : null,
    }))
    return page(github, call, emails, (items) => items)
  },
  'GET /user/installations': (github, call) => {
    const { user, app } = requireUser(call)
    if (app === null) {
      throw new ApiError(
        403,
        'You must authenticate with an access token authorized to a GitHub App in order to list installations',
      )
    }
    const all = [...github.state.installations.values()].filter((installation) => {
      return installation.appId === app.id && isVisible(github, installation, user)
    })
    return page(github, call, all, (items, total) => ({
      total_count: total,
      installations: items.map((item) => toInstallationJson(github, item)),
    }))
  },
  'GET /user/installations/:installation_id/repositories': (github, call) => {
    const { user, app } = requireUser(call)
    const installation = github.state.installations.get(readId(call, 'installation_id'))
    if (installation === undefined || installation.appId !== app?.id) throw notFound()
    if (!isVisible(github, installation, user)) throw notFound()
    const all = listExplicit(github, installation, user)
    return page(github, call, all, (items, total) => ({
      total_count: total,
      repository_selection: installation.selection,
      repositories: items.map((item) => {
        return toRepositoryJson(github, item, roleOfActor(github, call.actor, item))
      }),
    }))
  },
  'GET /user/memberships/orgs/:org': (github, call) => {
    const { user, app } = requireUser(call)
    const organization = findAccount(github, call.params['org'] ?? '')
    const role = organization?.members.get(user.id)
    if (organization === null || role === undefined) throw notFound()
    if (app !== null && !mayReadMembers(github, app.id, organization)) throw forbidden()
    const url = `${github.apiUrl}/orgs/${organization.login}`
    const membership: Schemas['org-membership'] = {
      url: `${url}/memberships/${user.login}`,
      state: 'active',
      role,
      organization_url: url,
      organization: toOrganizationJson(github, organization),
      user: toAccountJson(github, user),
    }
    return json(membership)
  },
  'GET /users/:username': (github, call) => {
    const account = findAccount(github, call.params['username'] ?? '')
    if (account === null) throw notFound()
    return json(toUserJson(github, account))
  },
  'GET /user/:account_id': (github, call) => {
    const account = github.state.accounts.get(readId(call, 'account_id'))
    if (account === undefined) throw notFound()
    return json(toUserJson(github, account))
  },
})

/** Those that somebody has a say in, not just those that everybody may read. */
function listExplicit(github: Github, installation: Installation, user: Account): Repository[] {
  return repositoriesOf(github, installation).filter((repository) => {
    const role = findRole(github, user, repository)
    if (includesRole(role, 'triage') || (repository.private && role !== null)) return true
    const owner = entry(github.state.accounts, repository.ownerId)
    return repository.collaborators.has(user.id) || owner.members.has(user.id)
  })
}

/** As documented, explicit read access to one repository is enough to see the whole installation. */
function isVisible(github: Github, installation: Installation, user: Account): boolean {
  const account = entry(github.state.accounts, installation.accountId)
  if (account.id === user.id || account.members.get(user.id) === 'admin') return true
  return listExplicit(github, installation, user).length > 0
}

function mayReadMembers(github: Github, appId: number, organization: Account): boolean {
  return [...github.state.installations.values()].some((installation) => {
    const { accountId, permissions } = installation
    const isHere = installation.appId === appId && accountId === organization.id
    return isHere && permissions['members'] !== undefined
  })
}
