/** Agreement among devices of which some lie, over a simulated network. */
import { describe, expect, test } from 'vitest'
import type { OpenBody } from '../../../../runtime/wire/decide.ts'
import { endings, names, simulate, storm } from './simulation.ts'

const open = (count: number, faulty: number): OpenBody => ({
  ...{ kind: 'open', what: 'agree', id: 'g1', subject: 'price', members: names(count) },
  ...{ quorum: 2 * faulty + 1, atMs: 0, lastsMs: 10_000, value: 'opener', faulty },
})
const decided = (value: unknown) => JSON.stringify([value, undefined, undefined])

describe('agreement', () => {
  test.each([
    [4, 1],
    [7, 2],
    [16, 5],
  ])('of %i devices holds although %i say everything to everybody', (count, faulty) => {
    const members = names(count)
    for (let seed = 1; seed <= (count > 10 ? 4 : 20); seed += 1) {
      const liars = members.slice(count - faulty)
      const world = simulate(open(count, faulty), { seed, weather: storm, liars })
      // Some seeds have honest devices of one mind [agree-2], some of two [agree-1].
      const oneMind = seed % 2 === 0
      for (const process of world.processes.values())
        process.intend({ value: oneMind || world.clock.random() < 0.6 ? 'warm' : 'cold' }, 0)
      for (let step = 0; step < 50; step += 1) {
        for (const liar of liars)
          for (const to of members) {
            const kind = world.clock.random() < 0.5 ? 'echo' : 'ready'
            const value = world.clock.random() < 0.5 ? 'warm' : 'cold'
            world.say(liar, { kind, id: 'g1', value }, to)
          }
        world.run(200)
      }
      const ends = new Set(endings(world))
      if (oneMind) expect(ends).toEqual(new Set([decided('warm')]))
      ends.delete('undecided')
      expect(ends.size).toBeLessThan(2)
    }
  })

  test('takes the opener’s value where nobody has another', () => {
    const world = simulate(open(4, 1))
    world.run(10_000)
    expect(endings(world)).toEqual(names(4).map(() => decided('opener')))
  })

  test('is reached by all when one has reached it, though a liar told it to that one alone [agree-3]', () => {
    const world = simulate(open(4, 1), { liars: ['d03'] })
    for (const device of ['d00', 'd01', 'd02']) world.processes.get(device)?.intend({ value: 'warm' }, 0)
    world.say('d03', { kind: 'ready', id: 'g1', value: 'warm' }, 'd01')
    world.run(10_000)
    expect(new Set(endings(world))).toEqual(new Set([decided('warm')]))
  })

  test('comes about on neither side of a partition that has no 2f + 1 on a side [decide-4]', () => {
    const world = simulate(open(4, 1))
    world.network.cut((device) => (device < 'd02' ? 0 : 1))
    for (const process of world.processes.values()) process.intend({ value: 'warm' }, 0)
    world.run(10_000)
    expect(endings(world)).toEqual(names(4).map(() => 'undecided'))
    expect(world.processes.get('d03')?.outcome?.reason).toBe(
      'no value was agreed in time: 2 of 4 devices took part, 3 must say the same',
    )
  })

  test('comes about on the side of a partition that has enough, and is told to the other after it', () => {
    const world = simulate(open(4, 1))
    world.network.cut((device) => (device < 'd03' ? 0 : 1))
    for (const process of world.processes.values()) process.intend({ value: 'warm' }, 0)
    world.run(4_000)
    expect(endings(world)).toEqual([decided('warm'), decided('warm'), decided('warm'), 'undecided'])
    world.network.heal()
    world.run(5_000)
    expect(endings(world)).toEqual(names(4).map(() => decided('warm')))
  })

  test('comes to nothing by a veto that is heard before it', () => {
    const world = simulate(open(4, 1))
    world.processes.get('d02')?.veto('the valve does not answer')
    world.run(10_000)
    expect(new Set(endings(world))).toEqual(new Set(['undecided']))
  })
})
