/** Auctions over a simulated network. */
import { describe, expect, test } from 'vitest'
import { bidDigest, lot } from '../../../../runtime/agent/decide/count.ts'
import { Auction } from '../../../../runtime/agent/decide/counted.ts'
import type { OpenBody, WordBody } from '../../../../runtime/wire/decide.ts'
import { endings, names, simulate, storm, type World } from './simulation.ts'

const members = names(5)
const open = (more: Partial<Extract<OpenBody, { what: 'auction' }>> = {}): OpenBody => ({
  ...{ kind: 'open', what: 'auction', id: 'a1', subject: 'heat-pump', members, quorum: 3 },
  ...{ atMs: 0, lastsMs: 10_000, price: 'first', ...more },
})

function bid(world: World, bids: readonly (number | undefined)[]): void {
  for (const [n, amount] of bids.entries())
    world.processes.get(members[n] ?? '')?.intend(amount === undefined ? {} : { bid: amount }, 0)
}

describe('an auction', () => {
  test('goes to the highest bid for what it bid, or for the second highest', () => {
    for (const [price, pays] of [
      ['first', 9],
      ['second', 7],
    ] as const) {
      const world = simulate(open({ price }))
      bid(world, [3, 9, 7, undefined, 1])
      world.run(10_000)
      expect(endings(world)).toEqual(members.map(() => JSON.stringify(['d01', 'd01', pays])))
    }
  })

  test('ends before its time when everybody has answered', () => {
    const world = simulate(open())
    bid(world, [3, 9, 7, undefined, 1])
    world.run(500)
    expect(world.processes.get('d00')?.outcome?.winner).toBe('d01')
  })

  test.each([1, 2, 3, 4, 5, 6])('ends alike at all on a network that loses and reorders, seed %i', (seed) => {
    const world = simulate(open(), { seed, weather: storm })
    bid(world, [3, 9, 7, 2, 1])
    world.run(10_000)
    expect(new Set(endings(world))).toEqual(new Set([JSON.stringify(['d01', 'd01', 9])]))
  })

  test('shows no bid before the bids are closed', () => {
    const world = simulate(open())
    bid(world, [3, 9, 7, 2])
    world.run(4_000)
    const said = [...world.processes.values()].flatMap(({ statements }) => statements.map(({ kind }) => kind))
    expect(said).not.toContain('reveal')
    world.run(6_000)
    expect(new Set(endings(world))).toEqual(new Set([JSON.stringify(['d01', 'd01', 9])]))
  })

  test('gives a tie to the lowest digest with its id [decide-6]', () => {
    const world = simulate(open())
    bid(world, [5, 5, 5, 5, 5])
    world.run(10_000)
    const lowest = members.toSorted((a, b) => (lot('a1', a) < lot('a1', b) ? -1 : 1))[0]
    expect(world.processes.get('d03')?.outcome?.winner).toBe(lowest)
  })

  test('takes no late bid and none that differs from its digest [decide-7]', () => {
    const world = simulate(open(), { liars: ['d04', 'd03'] })
    bid(world, [3, 9, 7])
    const nonce = 'ab'.repeat(32)
    world.say('d03', { kind: 'commit', id: 'a1', hash: bidDigest('a1', 'd03', 1, nonce) })
    world.run(5_000)
    // It has seen the others' bids by now.
    world.say('d04', { kind: 'commit', id: 'a1', hash: bidDigest('a1', 'd04', 99, nonce) })
    world.say('d04', { kind: 'reveal', id: 'a1', amount: 99, nonce })
    world.say('d03', { kind: 'reveal', id: 'a1', amount: 100, nonce })
    world.run(5_000)
    expect(new Set(endings(world))).toEqual(new Set([JSON.stringify(['d01', 'd01', 9])]))
    expect(world.processes.get('d00')?.notes).toContain('the commit of d04 came late')
  })

  test('strikes out who commits to two bids [decide-2]', () => {
    const world = simulate(open(), { liars: ['d04'] })
    bid(world, [3, 9, 7, 2])
    const nonce = 'ab'.repeat(32)
    world.say('d04', { kind: 'commit', id: 'a1', hash: bidDigest('a1', 'd04', 50, nonce) }, 'd00')
    world.run(100)
    world.say('d04', { kind: 'commit', id: 'a1', hash: bidDigest('a1', 'd04', 8, nonce) }, 'd00')
    world.run(9_900)
    expect(new Set(endings(world))).toEqual(new Set([JSON.stringify(['d01', 'd01', 9])]))
    expect(world.processes.get('d00')?.notes.join()).toContain('d04 said two different things')
  })

  test('is undecided on the side without a quorum, and decided on the other [decide-4]', () => {
    const world = simulate(open())
    world.network.cut((device) => (device < 'd03' ? 0 : 1))
    bid(world, [3, 4, 7, 99, 98])
    world.run(10_000)
    const won = JSON.stringify(['d02', 'd02', 7])
    expect(endings(world)).toEqual([won, won, won, 'undecided', 'undecided'])
    expect(world.processes.get('d04')?.outcome?.reason).toBe('d00 told no result in time')

    const few = simulate(open())
    few.network.cut((device) => (device < 'd02' ? 0 : 1))
    bid(few, [3, 4, 7, 99, 98])
    few.run(10_000)
    expect(endings(few)).toEqual(members.map(() => 'undecided'))
    expect(few.processes.get('d01')?.outcome?.reason).toBe(
      'no quorum: 2 of 5 devices took part, 3 are needed',
    )
  })

  test('is not believed where its result does not follow from the bids', () => {
    const world = simulate(open(), { liars: ['d00'] })
    bid(world, [undefined, 9, 7, 2, 1])
    world.run(1_000)
    const reason = 'because I say so'
    world.say('d00', {
      kind: 'result',
      id: 'a1',
      decided: true,
      winner: 'd02',
      value: 'd02',
      price: 7,
      reason,
      words: [],
    })
    world.run(9_000)
    expect(endings(world)).toEqual(['undecided', 'undecided', 'undecided', 'undecided'])
  })
})

test('who vetoes bids nothing, and does not say of the opener that it left its bid out', () => {
  const auction = new Auction({
    ...{ self: 'd01', opener: 'd00', open: open() as never, startMs: 0 },
    ...{ nonce: () => 'ab'.repeat(32), read: () => undefined },
  })
  auction.veto('the flue is blocked')
  auction.intend({ bid: 9 })
  const close: WordBody = { kind: 'close', id: 'a1', commits: [] }
  auction.hear('d00', close, JSON.stringify(close), 5_000)
  expect(auction.statements.map(({ kind }) => kind)).toEqual(['veto'])
  expect(auction.notes).toEqual([])
})
