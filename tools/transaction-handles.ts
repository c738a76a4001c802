import { parseSync, Visitor } from 'oxc-parser'

/**
 * Uses of an outer database handle inside an `inTransaction` callback. On SQLite there is one connection: such a query
 * waits for the transaction that waits for it. The types stop a `db` that is passed where a `Tx` is asked for; they
 * cannot see `db.selectFrom(…)` or `deps.db` in there.
 */
export function findForeignHandles(path: string, text: string): string[] {
  const { program } = parseSync(path, text)
  const callbacks: { start: number; end: number }[] = []
  const handles: number[] = []
  new Visitor({
    CallExpression(node) {
      const [, work] = node.arguments
      if (node.callee.type === 'Identifier' && node.callee.name === 'inTransaction' && work) {
        callbacks.push(work)
      }
    },
    Identifier(node) {
      if (node.name === 'db') handles.push(node.start)
    },
  }).visit(program)
  return handles
    .filter((at) => callbacks.some(({ start, end }) => start <= at && at < end))
    .map((at) => {
      const line = text.slice(0, at).split('\n').length
      return `${path}:${line} uses db inside inTransaction: await only queries on its tx there`
    })
}
