import { findAccount, now } from '../github.ts'
import type { Github } from '../github.ts'
import { renameAccount } from '../installations.ts'
import type { Account, RepositoryRole, UserToken } from '../state.ts'
import { createPersonalToken } from '../tokens.ts'
import { toAccount, toPerson } from './find.ts'
import type { AccountRef } from './find.ts'
import { noteFormerNames } from './repository-controls.ts'

export interface AccountControls {
  /** A person; without `emails` their address is `<login>@example.com`, primary and verified. */
  addUser(person: {
    login: string
    name?: string
    emails?: readonly { email: string; primary: boolean; verified: boolean }[]
  }): Account
  /** `members` by login; `basePermission` is what every member may do to all repositories (`pull`). */
  addOrganization(organization: {
    login: string
    name?: string
    members: Readonly<Record<string, 'admin' | 'member'>>
    basePermission?: RepositoryRole | null
  }): Account
  /** Null takes somebody out of an organization. */
  setMember(organization: AccountRef, user: AccountRef, role: 'admin' | 'member' | null): void
  /** The old login is free for somebody else at once. Tells Apps by `installation_target`. */
  renameAccount(account: AccountRef, login: string): void
  /** A classic personal access token with these scopes (`repo`). */
  createPersonalToken(user: AccountRef, scopes?: readonly string[]): UserToken
}

export function createAccountControls(github: Github): AccountControls {
  const add = (type: Account['type'], login: string, rest: Partial<Account>): Account => {
    if (findAccount(github, login) !== null) throw new Error(`Cannot add "${login}": it exists`)
    const account: Account = {
      id: github.nextId(),
      type,
      login,
      name: null,
      emails: [],
      members: new Map(),
      basePermission: null,
      createdAt: now(github),
      ...rest,
    }
    github.state.accounts.set(account.id, account)
    return account
  }
  return {
    addUser: ({ login, name = null, emails }) => {
      const own = [{ email: `${login.toLowerCase()}@example.com`, primary: true, verified: true }]
      return add('User', login, { name, emails: emails === undefined ? own : [...emails] })
    },
    addOrganization: ({ login, name = null, members, basePermission = 'pull' }) => {
      const entries = Object.entries(members)
      const ids = entries.map(([user, role]) => [toPerson(github, user).id, role] as const)
      return add('Organization', login, { name, basePermission, members: new Map(ids) })
    },
    setMember: (organization, user, role) => {
      const { members } = toAccount(github, organization)
      const { id } = toPerson(github, user)
      if (role === null) members.delete(id)
      else members.set(id, role)
    },
    renameAccount: (reference, login) => {
      const account = toAccount(github, reference)
      if (findAccount(github, login) !== null) throw new Error(`Cannot rename: "${login}" exists`)
      noteFormerNames(github, account)
      renameAccount(github, account, login)
    },
    createPersonalToken: (user, scopes = ['repo']) => {
      return createPersonalToken(github, toPerson(github, user).id, scopes)
    },
  }
}
