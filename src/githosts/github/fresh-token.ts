import type { Clock } from '../../lib/clock.ts'
import type { Answer, Asker, Question } from './ask.ts'

/** GitHub's replicas hear of a new token within seconds. */
const FRESH_MS = 5000
const PAUSES_MS = [200, 400, 800, 1600, 2000]

/** Asks again while a 401 may only mean that the token is too new; `mintedAtMs` is null for one that is not. */
export async function askWithFreshToken(
  deps: { clock: Clock; asker: Pick<Asker, 'ask'> },
  question: Question,
  mintedAtMs: number | null,
  signal: AbortSignal,
): Promise<Answer> {
  let answer = await deps.asker.ask(question, signal)
  for (const pauseMs of PAUSES_MS) {
    const isFresh = mintedAtMs !== null && deps.clock.now() - mintedAtMs < FRESH_MS
    if (answer.status !== 401 || !isFresh) return answer
    await deps.clock.sleep(pauseMs, signal)
    answer = await deps.asker.ask(question, signal)
  }
  return answer
}
