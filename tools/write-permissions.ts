import { readFileSync, writeFileSync } from 'node:fs'

import { replacePermissions } from './permissions-table.ts'

const PAGE = 'docs/people-and-access.md'

writeFileSync(PAGE, replacePermissions(readFileSync(PAGE, 'utf8')))
