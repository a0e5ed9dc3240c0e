/** The services of a device over a simulated home in virtual time. */
import type { Service } from '../../../../runtime/agent/service.ts'
import { servicesOf } from '../../../../runtime/agent/services/index.ts'
import { InferError } from '../../../../runtime/inference/inference.ts'
import { openSimHome, smallHome } from '../../../fixtures/sim-home.ts'
import { type Asked, perform } from './performed.ts'

/** Where these tests need no engine. */
export const noModels = {
  // biome-ignore lint/correctness/useYield: there is nothing to give
  async *infer() {
    throw new InferError('model-unknown', 'there is no such model')
  },
}

export async function openServices(yaml = smallHome, holds = (lease: string): boolean => lease === 'held') {
  const home = await openSimHome(yaml)
  const { clock, registry, actuation } = home
  const services: readonly Service[] = servicesOf({
    ...{ clock, registry, actuation, inference: noModels, timeZone: 'Europe/Berlin' },
    holds: (_agent, { name }) => holds(name),
    // Whoever asked for what is called so waits for it.
    askedFor: (_agent, request) => (request === 'open' ? actuation : undefined),
  })
  return {
    ...home,
    services,
    ask: (op: Parameters<typeof perform>[1], asked: Partial<Asked> & Pick<Asked, 'args'>) =>
      perform(services, op, { askedMs: clock.nowMs(), ...asked }),
  }
}
