/** Why nothing can be made of a payload that is JSON. */
export type PayloadProblem = 'unexpected_payload' | 'id_too_large' | 'invalid_ref'

/** The few facts of a payload that anything is decided by. All else in it is ignored, known or not. */
export interface PayloadFacts {
  action: string | null
  installationId: number | null
  repoId: number | null
  ref: string | null
  before: string | null
  after: string | null
  senderId: number | null
  senderLogin: string | null
  problem: PayloadProblem | null
}

/** Events about Apps, installations and repositories, with the actions that mean something to us. */
export const LIFECYCLE_ACTIONS: Readonly<Record<string, readonly string[]>> = {
  installation: ['created', 'deleted', 'suspend', 'unsuspend', 'new_permissions_accepted'],
  installation_repositories: ['added', 'removed'],
  installation_target: ['renamed'],
  github_app_authorization: ['revoked'],
  repository: [
    'renamed',
    'transferred',
    'archived',
    'unarchived',
    'edited',
    'privatized',
    'publicized',
    'deleted',
  ],
}

type Json = Readonly<Record<string, unknown>>

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/
const WORD = /^[A-Za-z0-9_-]{1,100}$/
const LOGIN = /^[A-Za-z0-9._[\]-]{1,100}$/
const CONTROL_CHARACTER = /\p{Cc}/u
const MAX_REF_CHARACTERS = 1000

/**
 * Reads the facts out of a body that was verified; null when it is no JSON object. Strict about what is used, lenient
 * about all else.
 */
export function readPayload(event: string, body: Uint8Array): PayloadFacts | null {
  const payload = parse(body)
  if (payload === null) return null
  const facts = readFacts(payload)
  return { ...facts, problem: facts.problem ?? findProblem(event, facts, payload) }
}

function parse(body: Uint8Array): Json | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(body)
    return asObject(JSON.parse(text))
  } catch {
    return null
  }
}

function readFacts(payload: Json): PayloadFacts {
  const sender = objectIn(payload, 'sender')
  const ids = {
    installationId: idIn(objectIn(payload, 'installation')),
    repoId: idIn(objectIn(payload, 'repository')),
    senderId: idIn(sender),
  }
  const ref = fieldOf(payload, 'ref')
  return {
    ...mapIds(ids),
    action: matching(fieldOf(payload, 'action'), WORD),
    ref: isRef(ref) ? ref : null,
    before: matching(fieldOf(payload, 'before'), COMMIT),
    after: matching(fieldOf(payload, 'after'), COMMIT),
    senderLogin: matching(fieldOf(sender, 'login'), LOGIN),
    problem: Object.values(ids).includes('too_large') ? 'id_too_large' : null,
  }
}

/** What the event says it is must be what the payload is: the event's name stands in a header that is not signed. */
function findProblem(event: string, facts: PayloadFacts, payload: Json): PayloadProblem | null {
  const lifecycle = LIFECYCLE_ACTIONS[event]
  if (event === 'push') {
    if (typeof fieldOf(payload, 'ref') === 'string' && facts.ref === null) return 'invalid_ref'
    const complete = facts.ref !== null && facts.before !== null && facts.after !== null
    return complete && facts.repoId !== null && facts.action === null ? null : 'unexpected_payload'
  }
  if (lifecycle === undefined || !Object.hasOwn(LIFECYCLE_ACTIONS, event)) return null
  if (facts.action === null || facts.ref !== null) return 'unexpected_payload'
  const subject =
    event === 'github_app_authorization'
      ? facts.senderId
      : event === 'repository'
        ? facts.repoId
        : facts.installationId
  return subject === null ? 'unexpected_payload' : null
}

type Id = number | null | 'too_large'

function mapIds(ids: { installationId: Id; repoId: Id; senderId: Id }) {
  const exact = (id: Id) => (id === 'too_large' ? null : id)
  return {
    installationId: exact(ids.installationId),
    repoId: exact(ids.repoId),
    senderId: exact(ids.senderId),
  }
}

/** Never a rounded number: it would be the id of somebody else. */
function idIn(object: Json | null): Id {
  const id = fieldOf(object, 'id')
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 1) return null
  return Number.isSafeInteger(id) ? id : 'too_large'
}

/** No database takes a NUL, and what is not Unicode would be stored as another name. */
function isRef(value: unknown): value is string {
  if (typeof value !== 'string' || value === '' || value.length > MAX_REF_CHARACTERS) return false
  return value.isWellFormed() && !CONTROL_CHARACTER.test(value)
}

function matching(value: unknown, pattern: RegExp): string | null {
  return typeof value === 'string' && pattern.test(value) ? value : null
}

function fieldOf(object: Json | null, name: string): unknown {
  return object !== null && Object.hasOwn(object, name) ? object[name] : undefined
}

function objectIn(object: Json, name: string): Json | null {
  return asObject(fieldOf(object, name))
}

function asObject(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : null
}
