import { entry, findAccount, findRepository } from '../github.ts'
import type { Github } from '../github.ts'
import type { Account, App, Installation, Repository } from '../state.ts'

/** By login, or whatever has its id: also one from before a `reset()`. */
export type AccountRef = string | { id: number }
/** By `owner/name`, or whatever has its id. */
export type RepositoryRef = string | { id: number }
export interface AppRef {
  id: number
}
export interface InstallationRef {
  id: number
}

export function toAccount(github: Github, reference: AccountRef): Account {
  if (typeof reference !== 'string') return entry(github.state.accounts, reference.id)
  const account = findAccount(github, reference)
  if (account === null) throw new Error(`Cannot find the account "${reference}"`)
  return account
}

export function toPerson(github: Github, reference: AccountRef): Account {
  const account = toAccount(github, reference)
  if (account.type !== 'User') throw new Error(`Cannot act as "${account.login}": not a person`)
  return account
}

export function toRepository(github: Github, reference: RepositoryRef): Repository {
  if (typeof reference !== 'string') return entry(github.state.repositories, reference.id)
  const repository = findRepository(github, reference)
  if (repository === null) throw new Error(`Cannot find the repository "${reference}"`)
  return repository
}

export function toApp(github: Github, reference: AppRef): App {
  return entry(github.state.apps, reference.id)
}

export function toInstallation(github: Github, reference: InstallationRef): Installation {
  return entry(github.state.installations, reference.id)
}

/** Who does something for an account when nobody is named: themselves, or the first of an organization's owners. */
export function toActor(github: Github, account: Account, by?: AccountRef): Account {
  if (by !== undefined) return toPerson(github, by)
  if (account.type === 'User') return account
  const [admin] = [...account.members].find(([, role]) => role === 'admin') ?? []
  if (admin === undefined) throw new Error(`Cannot act for "${account.login}": it has no owner`)
  return entry(github.state.accounts, admin)
}
