/** Two signals within this time are one key press: a wrapper such as npm passes on what the terminal sent already. */
const SAME_PRESS_MS = 250
const SECOND_PRESS_MS = 3000

/**
 * What an interrupt at `now` asks for, after an earlier one at `previous` (both in milliseconds): the control plane's
 * end, nothing new, or the end of apps too.
 */
export function judgeInterrupt(
  previous: number | null,
  now: number,
): 'stop' | 'same_press' | 'stop_all' {
  if (previous === null || now - previous > SECOND_PRESS_MS) return 'stop'
  return now - previous < SAME_PRESS_MS ? 'same_press' : 'stop_all'
}
