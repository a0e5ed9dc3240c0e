/** Calls over the broker: what they are allowed is what the broker is allowed, whoever they say they are. */
import { expect, it } from 'vitest'
import { kindOf } from '../../../hal/safety/kernel-leases.ts'
import { Assistant } from '../../../runtime/assistant/assistant.ts'
import { Calls } from '../../../runtime/assistant/calls.ts'
import { Actuation, type ActuationRequest } from '../../../runtime/things/actuation.ts'
import { attachBoard } from '../../../runtime/things/hal-source.ts'
import { EntityRegistry } from '../../../runtime/things/registry.ts'
import { understand } from '../../../runtime/understanding/understand.ts'
import { openSimHome } from '../../fixtures/sim-home.ts'

/** A home whose leases are asked for at a place that writes down by whom. */
async function called() {
  const home = await openSimHome()
  const asked: Pick<ActuationRequest, 'principal' | 'viaNetwork'>[] = []
  const registry = new EntityRegistry(home.board.layout.areas)
  const authority = {
    grant: async (
      _: string,
      { principal, viaNetwork }: Pick<ActuationRequest, 'principal' | 'viaNetwork'>,
    ) => {
      asked.push({ principal, ...(viaNetwork === undefined ? {} : { viaNetwork }) })
      return undefined
    },
  }
  const actuation = new Actuation({ clock: home.clock, registry, authority })
  attachBoard(home.board, registry, actuation)
  const assistant = new Assistant({ clock: home.clock, registry, actuation, understand, onEvent: () => {} })
  const calls = new Calls({
    clock: home.clock,
    assistant,
    voice: undefined,
    sim: undefined,
    status: () => Promise.reject(new Error('nobody asks')),
    recordingsFrom: undefined,
  })
  const call = (method: 'say' | 'command', params: object) =>
    home.clock.run(() => calls.answer(method, params, home.signal))
  return { call, asked }
}

it.each([
  ['say', { text: 'turn on the hall light' }],
  ['command', { entity: 'light.hall', command: { state: 'on' } }],
] as const)(
  '%s ranks as the broker and not as a person at the device, and says who asked',
  async (method, params) => {
    const { call, asked } = await called()
    expect(await call(method, params)).toMatchObject({ outcome: 'done' })
    expect(asked).toEqual([{ principal: 'mqtt:user', viaNetwork: true }])
    expect(kindOf(asked[0]?.principal ?? '')).toBe('mqtt')
  },
)
