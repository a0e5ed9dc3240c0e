/** How old a report is, in words. Of its own, so that the passing second redraws these words and nothing else. */
import { nowMs } from '../state/clock.ts'
import { ago } from '../words.ts'

export function Age({ ts }: { readonly ts: number | undefined }) {
  return <span>{ts === undefined ? 'No report yet' : `Reported ${ago(ts, nowMs.value)}`}</span>
}
