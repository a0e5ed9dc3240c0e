/**
 * The value a hand is choosing, until telemetry has spoken: shown instead of the reported one from the first move to
 * the end of the command, then dropped, so a command that failed shows the truth again.
 */
import { useEffect, useRef, useState } from 'preact/hooks'

export interface Draft {
  /** Undefined: show what was reported. */
  readonly value: number | undefined
  /** The hand is still moving. */
  set(value: number): void
  /** The hand let go: commit after a pause without another move. */
  commit(value: number): void
}

export function useDraft(busy: boolean, commitAfterMs: number, onCommit: (value: number) => void): Draft {
  const [value, set] = useState<number>()
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => {
    if (!busy && timer.current === undefined) set(undefined)
  }, [busy])
  useEffect(() => () => clearTimeout(timer.current), [])
  return {
    value,
    set,
    commit(wanted) {
      set(wanted)
      clearTimeout(timer.current)
      timer.current = setTimeout(() => {
        timer.current = undefined
        onCommit(wanted)
      }, commitAfterMs)
    },
  }
}
