/** The time of this page, for ages. Ticks each second while somebody looks. */
import { signal } from '@preact/signals'

export const nowMs = signal(Date.now())

export function startClock(): () => void {
  const timer = setInterval(() => {
    if (!document.hidden) nowMs.value = Date.now()
  }, 1000)
  return () => clearInterval(timer)
}
