import {
  branchesQuery,
  githubBranches,
  githubRepositories,
  repositoriesQuery,
  syncAnswer,
  syncBody,
} from './github-repositories.ts'
import type { RouteDefinition } from './route.ts'

export const githubRepositoryRoutes = {
  'github.repos': {
    method: 'GET',
    path: '/api/integrations/github/repos',
    summary: 'List repositories behind an installation, by name: those that you reach there',
    query: repositoriesQuery,
    response: githubRepositories,
    status: 200,
    errors: [404],
  },
  'github.repos.sync': {
    method: 'POST',
    path: '/api/integrations/github/repos/sync',
    summary: 'Read the repositories of an installation from GitHub again',
    body: syncBody,
    response: syncAnswer,
    status: 200,
    errors: [404, 409, 429, 502],
  },
  'github.branches': {
    method: 'GET',
    path: '/api/integrations/github/branches',
    summary: 'List branches of a repository, as GitHub has them now',
    query: branchesQuery,
    response: githubBranches,
    status: 200,
    errors: [404, 409, 429, 502],
  },
} as const satisfies Record<string, RouteDefinition>
