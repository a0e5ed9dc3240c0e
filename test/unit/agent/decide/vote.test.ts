/** Votes over a simulated network. */
import { describe, expect, test } from 'vitest'
import type { OpenBody, WordBody } from '../../../../runtime/wire/decide.ts'
import { endings, names, simulate, storm, type World } from './simulation.ts'

const members = names(5)
type Vote = Extract<OpenBody, { what: 'vote' }>
const open = (more: Partial<Vote> = {}): Vote => ({
  ...{ kind: 'open', what: 'vote', id: 'v1', subject: 'mode', members, quorum: 3, atMs: 0, lastsMs: 10_000 },
  ...{ rule: 'majority', choices: ['eco', 'warm', 'off'], ...more },
})

function cast(world: World, all: readonly (readonly string[])[]): void {
  for (const [n, choices] of all.entries()) world.processes.get(members[n] ?? '')?.intend({ choices }, 0)
}
const decided = (value: string) => JSON.stringify([value, undefined, undefined])

describe('a vote', () => {
  test('of the majority needs more than half of the votes cast', () => {
    const world = simulate(open())
    cast(world, [['eco'], ['eco'], ['warm'], [], ['eco']])
    world.run(500)
    expect(endings(world)).toEqual(members.map(() => decided('eco')))

    const split = simulate(open())
    cast(split, [['eco'], ['eco'], ['warm'], ['off'], []])
    split.run(10_000)
    expect(endings(split)).toEqual(members.map(() => 'undecided'))
    expect(split.processes.get('d04')?.outcome?.reason).toBe('no choice has more than half of the 4 votes')
  })

  test('by weight counts what each member weighs', () => {
    const world = simulate(open({ rule: 'weighted', weights: [1, 1, 5, 1, 1] }))
    cast(world, [['eco'], ['eco'], ['warm'], ['eco'], ['eco']])
    world.run(10_000)
    expect(endings(world)).toEqual(members.map(() => decided('warm')))
  })

  test('by rank lets the weakest choice go until one leads more than half', () => {
    const world = simulate(open({ rule: 'ranked' }))
    cast(world, [
      ['eco', 'off'],
      ['eco', 'off'],
      ['warm', 'off'],
      ['warm', 'off'],
      ['off', 'warm'],
    ])
    world.run(10_000)
    expect(endings(world)).toEqual(members.map(() => decided('warm')))
  })

  test('lets abstention count for the quorum and for nothing else', () => {
    const world = simulate(open({ quorum: 5 }))
    cast(world, [[], ['eco'], [], [], []])
    world.run(500)
    expect(endings(world)).toEqual(members.map(() => decided('eco')))
  })

  test.each([1, 2, 3, 4, 5, 6])('ends alike at all on a network that loses and reorders, seed %i', (seed) => {
    const world = simulate(open(), { seed, weather: storm })
    cast(world, [['eco'], ['eco'], ['warm'], ['warm'], ['eco']])
    world.run(10_000)
    expect(new Set(endings(world))).toEqual(new Set([decided('eco')]))
  })

  test('counts a replayed vote once and a double vote not at all [decide-1] [decide-2]', () => {
    const world = simulate(open(), { liars: ['d03', 'd04'] })
    const ballot = (choice: string): WordBody => ({ kind: 'ballot', id: 'v1', choices: [choice] })
    for (let n = 0; n < 5; n += 1) world.say('d03', ballot('eco'))
    world.say('d04', ballot('eco'), 'd00')
    world.run(200)
    world.say('d04', ballot('warm'), 'd00')
    world.run(100)
    cast(world, [['eco'], ['warm'], ['warm']])
    world.run(9_800)
    // eco 2 (d00, d03), warm 2: d04 is struck out.
    expect(endings(world)).toEqual(['undecided', 'undecided', 'undecided'])
    expect(world.processes.get('d00')?.notes.join()).toContain('d04 said two different things')
  })

  test('is the opener’s count also where a liar told each device something else', () => {
    const world = simulate(open(), { liars: ['d04'] })
    cast(world, [['eco'], ['eco'], ['warm'], ['warm']])
    for (const to of members)
      world.say('d04', { kind: 'ballot', id: 'v1', choices: [to === 'd00' ? 'eco' : 'warm'] }, to)
    world.run(10_000)
    expect(endings(world)).toEqual(['d00', 'd01', 'd02', 'd03'].map(() => decided('eco')))
  })

  test('has no votes of strangers, nor for what is no choice [decide-3]', () => {
    const world = simulate(open({ quorum: 2 }))
    world.say('nobody', { kind: 'ballot', id: 'v1', choices: ['warm'] })
    world.run(100)
    cast(world, [['eco'], ['fire'], ['fire'], ['fire'], ['fire', 'eco']])
    world.run(10_000)
    expect(endings(world)).toEqual(members.map(() => decided('eco')))
    expect(world.processes.get('d00')?.notes).toContain('nobody takes no part in this')
  })

  test('comes to nothing by one veto, with its reason [decide-5]', () => {
    const world = simulate(open())
    world.processes.get('d03')?.veto('the window is open')
    cast(world, [['eco'], ['eco'], ['eco'], ['eco'], ['eco']])
    world.run(10_000)
    expect(endings(world)).toEqual(members.map(() => 'undecided'))
    expect(world.processes.get('d01')?.outcome?.reason).toBe('d03 vetoed it: the window is open')
  })

  test('does not count who is silent, and says what was missing [decide-4]', () => {
    const world = simulate(open({ quorum: 4 }), { liars: ['d03', 'd04'] })
    cast(world, [['eco'], ['eco'], ['eco']])
    world.run(10_000)
    expect(world.processes.get('d02')?.outcome?.reason).toBe(
      'no quorum: 3 of 5 devices took part, 4 are needed',
    )
  })
})
