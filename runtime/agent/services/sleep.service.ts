/** `sleep`: until an instant of the agent's own clock. It survives restarts; `waiting.ts` says what counts as time. */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import type { Service } from '../service.ts'
import { checkedService } from './checked-service.ts'
import { leftOf, pause } from './waiting.ts'

const schema = v.object({
  atMs: v.pipe(
    v.number('must be an instant in milliseconds'),
    v.finite('must be an instant in milliseconds'),
  ),
})

export function sleepService({ clock }: { readonly clock: Clock }): Service {
  return checkedService('sleep', schema, async ({ atMs }, { askedMs }, signal) => {
    await pause(clock, leftOf(clock, atMs, askedMs), signal)
    return { ok: true }
  })
}
