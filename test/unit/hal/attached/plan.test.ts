/** Which thread has which part: actuators and all that shares a provider with them are together. */
import { describe, expect, it } from 'vitest'
import { type AttachedPart, planThreads } from '../../../../hal/attached/plan.ts'
import type { SafetyConfig } from '../../../../hal/contract/hardware-config.ts'

function part(
  id: string,
  role: AttachedPart['role'],
  pins: Record<string, string | number> = {},
): AttachedPart {
  return {
    id,
    role,
    place: id,
    driver: 'any',
    name: id,
    at: { pins },
    options: {},
    sampleEveryMs: 1_000,
    exclusive: false,
    keepWithoutNetwork: false,
  }
}

function threads(parts: readonly AttachedPart[], safety: SafetyConfig = {}) {
  const planned = planThreads({ parts, safety })
  const ids = (list: readonly { id: string }[]) => list.map(({ id }) => id)
  return {
    safety: {
      providers: ids(planned.safety.providers),
      actuators: ids(planned.safety.actuators),
      sensors: ids(planned.safety.sensors),
    },
    sensors: planned.sensors.map((group) => ({
      providers: ids(group.providers),
      sensors: ids(group.sensors),
    })),
  }
}

describe('threads', () => {
  it('sensors share one thread, a module from disk has its own, actuators are in the safety thread', () => {
    const module = { ...part('m', 'sensor'), module: '/m.js' }
    expect(threads([part('a', 'sensor'), part('r', 'actuator'), module, part('b', 'sensor')])).toEqual({
      safety: { providers: [], actuators: ['r'], sensors: [] },
      sensors: [
        { providers: [], sensors: ['a', 'b'] },
        { providers: [], sensors: ['m'] },
      ],
    })
  })

  it('a provider that an actuator uses is in the safety thread, with the sensors on it', () => {
    const parts = [
      part('x', 'provider'),
      part('y', 'provider'),
      part('r', 'actuator', { signal: 'x:1' }),
      part('s', 'sensor', { signal: 'x:2' }),
      part('t', 'sensor', { signal: 'y:2' }),
    ]
    expect(threads(parts)).toEqual({
      safety: { providers: ['x'], actuators: ['r'], sensors: ['s'] },
      sensors: [{ providers: ['y'], sensors: ['t'] }],
    })
  })

  it('so is one that an emergency stop hangs on', () => {
    const parts = [
      part('x', 'provider'),
      part('r', 'actuator', { signal: 11 }),
      part('s', 'sensor', { p: 'x:2' }),
    ]
    expect(threads(parts, { emergencyStop: { pin: 'x:5' } })).toMatchObject({
      safety: { providers: ['x'], sensors: ['s'] },
      sensors: [],
    })
  })

  it('a sensor on two providers, one of them held, takes the other along; providers open in order', () => {
    const parts = [
      part('low', 'provider', { reset: 'high:0' }),
      part('high', 'provider'),
      part('other', 'provider'),
      part('r', 'actuator', { signal: 'low:1' }),
      part('s', 'sensor', { a: 'low:2', b: 'other:1' }),
    ]
    expect(threads(parts)).toEqual({
      safety: { providers: ['high', 'low', 'other'], actuators: ['r'], sensors: ['s'] },
      sensors: [],
    })
  })
})
