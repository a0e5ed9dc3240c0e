/** Contract nets over a simulated network. */
import { describe, expect, test } from 'vitest'
import type { ContractNet } from '../../../../runtime/agent/decide/contract-net.ts'
import type { OpenBody } from '../../../../runtime/wire/decide.ts'
import { endings, names, simulate, storm, type World } from './simulation.ts'

const members = names(4)
const open: OpenBody = {
  ...{ kind: 'open', what: 'contract-net', id: 'c1', subject: 'fetch', members, quorum: 3 },
  ...{ atMs: 0, lastsMs: 10_000, task: { from: 'kitchen' } },
}

/** Devices that offer, and do at once what they are awarded, unless they fail or vanish. */
function workers(
  does: Readonly<Record<string, 'done' | 'failed' | 'vanishes'>>,
  options = {},
): World & { awards: string[] } {
  const awards: string[] = []
  const world: World = simulate(open, {
    ...options,
    onAward: (device: string, round: number) => {
      awards.push(`${device} ${round}`)
      if (round < 0 || does[device] === 'vanishes') return
      const process = world.processes.get(device) as ContractNet
      world.clock.after(50, () => process.report(round, does[device] === 'done', device))
    },
  })
  return { ...world, awards }
}

function offer(world: World, costs: readonly (number | undefined)[]): void {
  for (const [n, cost] of costs.entries())
    world.processes.get(members[n] ?? '')?.intend(cost === undefined ? {} : { bid: cost }, 0)
}

describe('a contract net', () => {
  test('awards the cheapest offer and ends with its report', () => {
    const world = workers({ d02: 'done' })
    offer(world, [undefined, 8, 3, 5])
    world.run(1_000)
    expect(endings(world)).toEqual(
      members.map(() => JSON.stringify(['d02', 'd02', 3])).map((_, n) => endings(world)[n]),
    )
    expect(world.processes.get('d00')?.outcome).toMatchObject({
      decided: true,
      winner: 'd02',
      price: 3,
      value: 'd02',
    })
    expect(world.processes.get('d03')?.outcome).toMatchObject({ decided: true, winner: 'd02', value: 'd02' })
  })

  test('awards the next when the winner reports that it failed, and the next when that one vanishes', () => {
    const world = workers({ d02: 'failed', d03: 'vanishes', d01: 'done' })
    offer(world, [undefined, 8, 3, 5])
    world.run(10_000)
    for (const process of world.processes.values())
      expect(process.outcome).toMatchObject({ decided: true, winner: 'd01', value: 'd01' })
    expect(world.processes.get('d00')?.notes).toEqual([
      'd02 reported that it failed',
      'd03 was awarded it and vanished',
    ])
  })

  test('waits for no winner that said two different things, and awards the next at once [decide-12]', () => {
    const world = workers({ d03: 'done' }, { liars: ['d02'] })
    offer(world, [undefined, undefined, undefined, 5])
    world.say('d02', { kind: 'offer', id: 'c1', cost: 1 })
    world.run(500)
    expect(world.processes.get('d00')?.outcome).toBeUndefined()
    world.say('d02', { kind: 'offer', id: 'c1', cost: 2 })
    world.run(1_000)
    for (const self of ['d00', 'd01', 'd03'])
      expect(world.processes.get(self)?.outcome).toMatchObject({ decided: true, winner: 'd03', price: 5 })
    expect(world.processes.get('d00')?.notes.join()).toContain('d02 said two different things')
  })

  test('tells a winner that was passed over to stop, and takes no late report of it [decide-8]', () => {
    const world = workers({ d02: 'vanishes', d03: 'done' })
    offer(world, [undefined, undefined, 3, 5])
    world.run(6_000)
    expect(world.awards).toContain('d02 -1')
    world.say('d02', { kind: 'report', id: 'c1', round: 0, done: true, value: 'late' })
    world.run(4_000)
    expect(world.processes.get('d01')?.outcome).toMatchObject({ winner: 'd03', value: 'd03' })
  })

  test('says so when all have tried, when nobody offers and when there is no quorum [decide-4]', () => {
    const tried = workers({ d02: 'failed', d03: 'failed' })
    offer(tried, [undefined, undefined, 3, 5])
    tried.run(10_000)
    expect(tried.processes.get('d01')?.outcome?.reason).toBe('2 tried it, none did it')

    const none = workers({})
    offer(none, [undefined, undefined, undefined, undefined])
    none.run(10_000)
    expect(none.processes.get('d01')?.outcome?.reason).toBe('nobody offered')

    const alone = workers({ d00: 'done' })
    alone.network.cut((device) => (device === 'd00' ? 0 : 1))
    offer(alone, [1, 2, 3, 4])
    alone.run(10_000)
    expect(endings(alone)).toEqual(members.map(() => 'undecided'))
    expect(alone.awards).toEqual([])
  })

  test('does not believe a result that the winner did not report', () => {
    const world = workers({}, { liars: ['d00'] })
    const reason = 'so it is'
    world.say('d00', {
      kind: 'result',
      id: 'c1',
      decided: true,
      winner: 'd02',
      value: 'x',
      reason,
      words: [],
    })
    world.run(10_000)
    expect(endings(world)).toEqual(['undecided', 'undecided', 'undecided'])
  })

  test.each([1, 2, 3, 4])('comes to its end on a network that loses and reorders, seed %i', (seed) => {
    const world = workers({ d02: 'vanishes', d03: 'done' }, { seed, weather: storm })
    offer(world, [undefined, 8, 3, 5])
    world.run(10_000)
    for (const process of world.processes.values())
      expect(process.outcome).toMatchObject({ decided: true, winner: 'd03', value: 'd03' })
  })
})
