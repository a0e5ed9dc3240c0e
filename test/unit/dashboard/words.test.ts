import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withOption } from '../../../gateway/dashboard/src/console/option.ts'
import { encodeWav } from '../../../gateway/dashboard/src/console/wav.ts'
import type { EntityView } from '../../../gateway/dashboard/src/entity.ts'
import { byFloorAndRoom } from '../../../gateway/dashboard/src/rooms/grouping.ts'
import { duration, stateWords } from '../../../gateway/dashboard/src/words.ts'

function entity(change: Partial<EntityView>): EntityView {
  return {
    device: 'd',
    id: 'sensor.a',
    kind: 'sensor',
    name: 'A',
    simulated: true,
    state: '1',
    attributes: {},
    available: true,
    ...change,
  }
}

describe('words', () => {
  it('never calls an entity without report on or off', () => {
    expect(stateWords(entity({ kind: 'light', state: 'unknown' }))).toBe('No report yet')
    expect(stateWords(entity({ kind: 'light', state: 'on', available: false }))).toBe('Unavailable')
  })

  it('gives a sensor its unit and a contact its own words', () => {
    expect(stateWords(entity({ state: '21.456', unit: '°C' }))).toBe('21.46 °C')
    expect(stateWords(entity({ kind: 'binary_sensor', deviceClass: 'door', state: 'on' }))).toBe('Open')
  })

  it('tells durations in the unit a person would use', () => {
    expect([0.4, 850, 2100, 180_000].map(duration)).toEqual(['0 ms', '850 ms', '2.1 s', '3 min'])
  })

  it('puts the chosen name where the unclear words were', () => {
    const reading = { intent: 'none', words: [{ text: 'lamp', role: 'target', means: 'lamp' }] }
    const result = { outcome: 'question', reply: '?', commands: [], latencyMs: 1, reading } as const
    const asked = { ...result, commands: [], transcript: 'Turn on the Lamp, please' }
    expect(withOption(asked, 'Hall Lamp')).toBe('Turn on the Hall Lamp, please')
    expect(withOption({ ...asked, transcript: 'hm' }, 'Hall Lamp')).toBe('Hall Lamp')
  })
})

describe('byFloorAndRoom', () => {
  it('orders floors from the ground up, and what is nowhere last', () => {
    const floors = byFloorAndRoom([
      entity({ id: 'a' }),
      entity({ id: 'b', floor: 'First Floor', areaName: 'Bedroom' }),
      entity({ id: 'c', floor: 'Ground Floor', areaName: 'Kitchen' }),
      entity({ id: 'd', floor: 'Basement', areaName: 'Cellar' }),
    ])
    expect(floors.map(({ name }) => name)).toEqual(['Basement', 'Ground Floor', 'First Floor', undefined])
  })

  it('keeps rooms in the order in which the home lists them, and entities by name', () => {
    const [floor] = byFloorAndRoom([
      entity({ id: 'a', name: 'Lamp', floor: '0', areaName: 'Living Room' }),
      entity({ id: 'b', name: 'Fan', floor: '0' }),
      entity({ id: 'c', name: 'Hob', floor: '0', areaName: 'Kitchen' }),
      entity({ id: 'd', name: 'Fire', floor: '0', areaName: 'Living Room' }),
    ])
    expect(floor?.rooms.map(({ name }) => name)).toEqual(['Living Room', 'Kitchen', 'Elsewhere'])
    expect(floor?.rooms[0]?.entities.map(({ name }) => name)).toEqual(['Fire', 'Lamp'])
  })

  it('loses no entity and shows none twice', () => {
    const place = fc.option(fc.constantFrom('a', 'b', '1', '-1', ''), { nil: undefined })
    fc.assert(
      fc.property(fc.array(fc.record({ floor: place, areaName: place }), { maxLength: 30 }), (places) => {
        const all = places.map(({ floor, areaName }, at) =>
          entity({
            id: `e${at}`,
            ...(floor !== undefined && { floor }),
            ...(areaName !== undefined && { areaName }),
          }),
        )
        const shown = byFloorAndRoom(all).flatMap(({ rooms }) => rooms.flatMap((room) => room.entities))
        expect(shown.map(({ id }) => id).sort()).toEqual(all.map(({ id }) => id).sort())
      }),
    )
  })
})

describe('encodeWav', () => {
  it('writes a PCM header that says what follows, and clips instead of wrapping', () => {
    const view = new DataView(encodeWav(new Float32Array([0, 1, -1, 2]), 16_000))
    expect(view.byteLength).toBe(44 + 8)
    expect(view.getUint32(4, true)).toBe(36 + 8)
    expect([view.getUint16(20, true), view.getUint16(22, true), view.getUint32(24, true)]).toEqual([
      1, 1, 16_000,
    ])
    expect([44, 46, 48, 50].map((at) => view.getInt16(at, true))).toEqual([0, 32_767, -32_767, 32_767])
  })
})
