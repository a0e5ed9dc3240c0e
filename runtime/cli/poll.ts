/** Asking again until the answer is good or the time is over. */
import { type Clock, sleep } from '../base/clock.ts'

/** The first good answer, or the last one when `limitMs` have passed. */
export async function poll<T>(
  clock: Clock,
  times: { readonly everyMs: number; readonly limitMs: number },
  ask: () => Promise<T>,
  isGood: (answer: T) => boolean,
  signal: AbortSignal,
): Promise<T> {
  const untilMs = clock.monotonicMs() + times.limitMs
  for (;;) {
    const answer = await ask()
    if (isGood(answer) || clock.monotonicMs() > untilMs) return answer
    await sleep(clock, times.everyMs, signal)
  }
}
