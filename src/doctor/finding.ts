/** One thing that the doctor looked at. */
export interface Finding {
  /** A name that stays the same, for scripts. */
  check: string
  status: 'ok' | 'warning' | 'failed'
  message: string
  /** What to do about it; null when there is nothing to do. */
  fix: string | null
}

export function ok(check: string, message: string): Finding {
  return { check, status: 'ok', message, fix: null }
}

export function warning(check: string, message: string, fix: string): Finding {
  return { check, status: 'warning', message, fix }
}

export function failed(check: string, message: string, fix: string): Finding {
  return { check, status: 'failed', message, fix }
}
