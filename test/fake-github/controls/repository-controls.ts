import { runGit } from '../../_git-repository.ts'
import type { RepositoryFiles } from '../../_git-repository.ts'
import { emitRepositoryEvent } from '../events.ts'
import { fillGit, gitOf } from '../git-store.ts'
import { findRepository, fullName, now, ownerOf } from '../github.ts'
import type { Github } from '../github.ts'
import { toAccountJson } from '../json/account-json.ts'
import { pushesDone, withPush } from '../push.ts'
import type { Account, Repository, RepositoryRole } from '../state.ts'
import { toAccount, toActor, toPerson, toRepository } from './find.ts'
import type { AccountRef, RepositoryRef } from './find.ts'

export interface Push {
  /** The default branch when not said; a new one starts at the default branch. */
  branch?: string
  files?: RepositoryFiles
  message?: string
  /** One new commit that has nothing in common with what was there. */
  force?: boolean
  by?: AccountRef
}

export interface RepositoryControls {
  /** With one commit of `files`; without files it is empty, as a new repository of GitHub's is. */
  addRepository(repository: {
    owner: AccountRef
    name: string
    files?: RepositoryFiles
    description?: string
    private?: boolean
    archived?: boolean
    /** By GitHub itself: Git refuses it. */
    disabled?: boolean
    defaultBranch?: string
  }): Promise<Repository>
  /** Makes a commit on a branch and tells the hooks. Resolves with its id. */
  push(repository: RepositoryRef, push?: Push): Promise<string>
  /** Moves refs (`refs/heads/main`) to commits that exist, or deletes them (null), all in one push. */
  updateRefs(
    repository: RepositoryRef,
    refs: Readonly<Record<string, string | null>>,
    by?: AccountRef,
  ): Promise<void>
  /** Of the default branch when none is named; waits for pushes that are under way. */
  head(repository: RepositoryRef, branch?: string): Promise<string>
  /** Null takes the role away. */
  addCollaborator(repository: RepositoryRef, user: AccountRef, role: RepositoryRole | null): void
  /** The old name leads here until somebody uses it. */
  rename(repository: RepositoryRef, name: string, by?: AccountRef): void
  /** Leaves the old owner's installations without a word; only the new owner's hear of it. */
  transfer(repository: RepositoryRef, to: AccountRef, by?: AccountRef): void
  setArchived(repository: RepositoryRef, archived: boolean, by?: AccountRef): void
  setPrivate(repository: RepositoryRef, isPrivate: boolean, by?: AccountRef): void
  setDefaultBranch(repository: RepositoryRef, branch: string, by?: AccountRef): Promise<void>
  /** Nobody is told: not even its own hooks and the Apps installed on it. */
  deleteRepository(repository: RepositoryRef): void
}

export function createRepositoryControls(github: Github): RepositoryControls {
  const tell = (
    repository: Repository,
    by: AccountRef | undefined,
    action: string,
    changes?: Readonly<Record<string, unknown>>,
  ) => {
    const sender = toActor(github, ownerOf(github, repository), by)
    const payload = changes === undefined ? {} : { changes }
    emitRepositoryEvent(github, { event: 'repository', action, repository, sender, payload })
  }
  return {
    addRepository: (draft) => addRepository(github, draft),
    push: (repository, push = {}) => makePush(github, toRepository(github, repository), push),
    updateRefs: (reference, refs, by) => updateRefs(github, reference, refs, by),
    head: async (reference, branch) => {
      const repository = toRepository(github, reference)
      await pushesDone(github, repository)
      const name = branch ?? repository.defaultBranch
      const sha = repository.refs.get(`refs/heads/${name}`)
      if (sha === undefined) throw new Error(`Cannot find the branch "${name}"`)
      return sha
    },
    addCollaborator: (reference, user, role) => {
      const { collaborators } = toRepository(github, reference)
      const { id } = toPerson(github, user)
      if (role === null) collaborators.delete(id)
      else collaborators.set(id, role)
    },
    rename: (reference, name, by) => {
      const repository = toRepository(github, reference)
      const from = repository.name
      takeName(github, `${ownerOf(github, repository).login}/${name}`)
      noteFormerName(github, repository)
      repository.name = name
      tell(repository, by, 'renamed', { repository: { name: { from } } })
    },
    transfer: (reference, to, by) => transfer(github, toRepository(github, reference), to, by),
    setArchived: (reference, archived, by) => {
      const repository = toRepository(github, reference)
      repository.archived = archived
      tell(repository, by, archived ? 'archived' : 'unarchived')
    },
    setPrivate: (reference, isPrivate, by) => {
      const repository = toRepository(github, reference)
      repository.private = isPrivate
      tell(repository, by, isPrivate ? 'privatized' : 'publicized')
    },
    setDefaultBranch: async (reference, branch, by) => {
      const repository = toRepository(github, reference)
      const from = repository.defaultBranch
      const head = ['symbolic-ref', 'HEAD', `refs/heads/${branch}`]
      await runGit((await gitOf(github, repository)).directory, head)
      repository.defaultBranch = branch
      tell(repository, by, 'edited', { default_branch: { from } })
    },
    deleteRepository: (reference) => {
      const { id } = toRepository(github, reference)
      github.state.repositories.delete(id)
      for (const hook of github.state.hooks.values()) {
        if (hook.repositoryId === id) github.state.hooks.delete(hook.id)
      }
      for (const [name, formerId] of github.state.formerNames) {
        if (formerId === id) github.state.formerNames.delete(name)
      }
    },
  }
}

async function addRepository(
  github: Github,
  draft: Parameters<RepositoryControls['addRepository']>[0],
): Promise<Repository> {
  const owner = toAccount(github, draft.owner)
  takeName(github, `${owner.login}/${draft.name}`)
  const at = now(github)
  const repository: Repository = {
    id: github.nextId(),
    ownerId: owner.id,
    name: draft.name,
    description: draft.description ?? null,
    private: draft.private ?? false,
    archived: draft.archived ?? false,
    disabled: draft.disabled ?? false,
    defaultBranch: draft.defaultBranch ?? 'main',
    collaborators: new Map(),
    refs: new Map(),
    laggingRefs: new Map(),
    createdAt: at,
    pushedAt: at,
  }
  if (draft.files !== undefined) await fillGit(github, repository, draft.files)
  github.state.repositories.set(repository.id, repository)
  const sender = toActor(github, owner)
  const payload = {}
  emitRepositoryEvent(github, {
    event: 'repository',
    action: 'created',
    repository,
    sender,
    payload,
  })
  return repository
}

/** Whoever uses a name that led elsewhere ends the redirect. */
function takeName(github: Github, name: string): void {
  if (findRepository(github, name) !== null) throw new Error(`Cannot use "${name}": it exists`)
  github.state.formerNames.delete(name.toLowerCase())
}

function noteFormerName(github: Github, repository: Repository): void {
  github.state.formerNames.set(fullName(github, repository).toLowerCase(), repository.id)
}

export function noteFormerNames(github: Github, owner: Account): void {
  for (const repository of github.state.repositories.values()) {
    if (repository.ownerId === owner.id) noteFormerName(github, repository)
  }
}

async function makePush(github: Github, repository: Repository, push: Push): Promise<string> {
  const { branch = repository.defaultBranch, message, files = {} } = push
  const git = await gitOf(github, repository)
  const pusher = toActor(github, ownerOf(github, repository), push.by)
  return await withPush(github, repository, pusher, async () => {
    const base = repository.refs.get(`refs/heads/${repository.defaultBranch}`)
    const isNew = !repository.refs.has(`refs/heads/${branch}`)
    if (isNew && base !== undefined) await git.setBranch(branch, base)
    return push.force === true
      ? await git.forcePush(files, message, branch)
      : await git.push(files, message, branch)
  })
}

async function updateRefs(
  github: Github,
  reference: RepositoryRef,
  refs: Readonly<Record<string, string | null>>,
  by: AccountRef | undefined,
): Promise<void> {
  const repository = toRepository(github, reference)
  const pusher = toActor(github, ownerOf(github, repository), by)
  const lines = Object.entries(refs).map(([ref, sha]) => {
    return sha === null ? `delete ${ref}\n` : `update ${ref} ${sha}\n`
  })
  const { directory } = await gitOf(github, repository)
  await withPush(github, repository, pusher, () => {
    return runGit(directory, ['update-ref', '--stdin'], { stdin: lines.join('') })
  })
}

function transfer(
  github: Github,
  repository: Repository,
  to: AccountRef,
  by: AccountRef | undefined,
): void {
  const from = ownerOf(github, repository)
  const owner = toAccount(github, to)
  takeName(github, `${owner.login}/${repository.name}`)
  noteFormerName(github, repository)
  repository.ownerId = owner.id
  for (const installation of github.state.installations.values()) {
    if (installation.accountId !== owner.id) {
      const kept = installation.repositoryIds.filter((id) => id !== repository.id)
      installation.repositoryIds = kept
    }
  }
  const was = { [from.type === 'User' ? 'user' : 'organization']: toAccountJson(github, from) }
  emitRepositoryEvent(github, {
    event: 'repository',
    action: 'transferred',
    repository,
    sender: toActor(github, owner, by),
    payload: { changes: { owner: { from: was } } },
  })
}
