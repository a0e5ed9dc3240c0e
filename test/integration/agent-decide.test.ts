/** Devices of a site that believe each other and decide together, over a real broker. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { decideService } from '../../runtime/agent/decide/decide-service.ts'
import {
  type DecisionRecord,
  Decisions,
  type DecisionsDeps,
  type Opening,
} from '../../runtime/agent/decide/decisions.ts'
import { seal } from '../../runtime/agent/together/envelope.ts'
import { Peers } from '../../runtime/agent/together/peers.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { openDevice, openSite, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

async function site(...names: string[]): Promise<SiteDevice[]> {
  const devices = await openSite(broker.url, names)
  for (const device of devices) stack.use(device)
  return devices
}

function decisionsOf(device: SiteDevice, more: Partial<DecisionsDeps> = {}) {
  const records: DecisionRecord[] = []
  const decisions = stack.use(
    new Decisions({
      ...{ clock: realClock, log: silentLog, bus: device.link, signer: device.identity },
      ...{ record: (record: DecisionRecord) => records.push(record), ...more },
    }),
  )
  return { device, decisions, records }
}

function voteOn(subject: string, choices: string[], lastsMs: number): Opening {
  return { what: 'vote', subject, rule: 'majority', choices, lastsMs }
}

const forever = new AbortController().signal

describe('identities', () => {
  test('are believed on first sight, kept, and never exchanged [peers-1] [peers-4]', async () => {
    const [kitchen, cellar] = (await site('kitchen', 'cellar')) as [SiteDevice, SiteDevice]
    expect(kitchen.identity.verify('cellar', Buffer.from('x'), cellar.identity.sign(Buffer.from('x')))).toBe(
      'valid',
    )
    const stranger = Identity.open('cellar', join(cellar.stateDir, 'stranger'))
    const peer = stack.use(await Peer.connect(broker.url, []))
    const forged = seal(stranger, 'identity', { device: 'cellar', key: stranger.publicKey })
    await peer.say('ganglion/cellar/identity', forged, { retain: true })
    await until('the exchanged key is refused', () => kitchen.peers.refused > 0)
    expect(kitchen.identity.verify('cellar', Buffer.from('x'), stranger.sign(Buffer.from('x')))).toBe(
      'forged',
    )

    const again = Identity.open('kitchen', kitchen.stateDir)
    const offline = {
      ...kitchen.link,
      subscribe: () => () => {},
      setRetained: () => {},
      topics: kitchen.link.topics,
    }
    using restarted = new Peers(
      { clock: realClock, log: silentLog, bus: offline as never, identity: again },
      { path: join(kitchen.stateDir, 'peers.json') },
    )
    expect(restarted.known.toSorted()).toEqual(['cellar', 'kitchen'])
  })

  test('are those of the configuration and no others where it names any [peers-2]', async () => {
    const [cellar, attic] = (await site('cellar', 'attic')) as [SiteDevice, SiteDevice]
    const pinned = stack.use(await openDevice(broker.url, 'kitchen', { cellar: cellar.identity.publicKey }))
    await until('the attic is refused', () => pinned.peers.refused > 0)
    expect(pinned.peers.known.toSorted()).toEqual(['cellar', 'kitchen'])
    await until('the attic believes it', () => attic.peers.known.includes('kitchen'))
  })

  test('that nobody can show the key of are not believed, nor a file that cannot be read [peers-3] [peers-4]', async () => {
    const [kitchen] = (await site('kitchen')) as [SiteDevice]
    const other = Identity.open('other', join(kitchen.stateDir, 'other'))
    const peer = stack.use(await Peer.connect(broker.url, []))
    const claimed = seal(other, 'identity', { device: 'cellar', key: kitchen.identity.publicKey })
    await peer.say('ganglion/cellar/identity', claimed, { retain: true })
    await until('it is counted', () => kitchen.link.stats().badMessages > 0)
    expect(kitchen.peers.known).toEqual(['kitchen'])

    const path = join(kitchen.stateDir, 'broken.json')
    writeFileSync(path, '{"v":1,"keys":{"cellar":"nonsense"}}')
    const bus = { topics: kitchen.link.topics, subscribe: () => () => {}, setRetained: () => {} } as never
    using broken = new Peers({ clock: realClock, log: silentLog, bus, identity: other }, { path })
    expect(broken.known).toEqual(['other'])
  })
})

describe('over a broker', () => {
  test('three devices auction the one heat pump, and two of them go on when one is gone', async () => {
    const rooms = (await site('attic', 'bath', 'cellar')).map((device) => decisionsOf(device))
    const auction = { what: 'auction', subject: 'heat-pump', price: 'second', lastsMs: 20_000 } as const
    const ends = await Promise.all(
      rooms.map(({ decisions }, n) =>
        decisions.decide(auction, { bid: [4, 9, 6][n] as number, reason: 'cold' }, forever),
      ),
    )
    for (const end of ends) expect(end).toMatchObject({ decided: true, winner: 'bath', price: 6 })
    expect(new Set(ends.map(({ id }) => id)).size).toBe(1)
    for (const { records } of rooms)
      expect(records.filter(({ decided }) => decided)).toMatchObject([
        { subject: 'heat-pump', quorum: 2, winner: 'bath' },
      ])

    rooms[1]?.decisions[Symbol.dispose]()
    const left = await Promise.all(
      [rooms[0], rooms[2]].map((room, n) =>
        room?.decisions.decide({ ...auction, lastsMs: 1_500 }, { bid: n }, forever),
      ),
    )
    for (const end of left) expect(end).toMatchObject({ decided: true, winner: 'cellar', price: 0 })
  }, 60_000)

  test('nobody waits for a device that is away, nor for one that wants nothing [decide-12]', async () => {
    const devices = await site('attic', 'bath', 'cellar', 'den')
    const vote = voteOn('mode', ['eco', 'warm'], 600_000)
    const [attic, bath] = devices.map((device) =>
      decisionsOf(device, { interested: () => device.name < 'c', away: () => device.peers.away }),
    )
    await devices[3]?.[Symbol.asyncDispose]()
    await until('the attic knows that the den is away', () => devices[0]?.peers.away.has('den') ?? false)
    // Within the test's time, not within the ten minutes of the decision.
    const ends = await Promise.all(
      [attic, bath].map((room) => room?.decisions.decide(vote, { choices: ['eco'] }, forever)),
    )
    for (const end of ends) expect(end).toMatchObject({ decided: true, value: 'eco' })
  }, 60_000)

  test('a device whose peers are away decides nothing, and says so [decide-4]', async () => {
    const [device] = (await site('attic', 'bath', 'cellar')) as [SiteDevice]
    const vote = voteOn('mode', ['eco', 'warm'], 400)
    const end = await decisionsOf(device).decisions.decide(vote, { choices: ['eco'] }, forever)
    expect(end).toMatchObject({ decided: false, reason: 'no quorum: 1 of 3 devices took part, 2 are needed' })
  })

  test('forged and replayed words change nothing, and are counted [decide-9]', async () => {
    const devices = await site('attic', 'bath', 'cellar')
    const [attic, bath] = devices.map((device) => decisionsOf(device)) as [
      ReturnType<typeof decisionsOf>,
      ReturnType<typeof decisionsOf>,
    ]
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/site/decide/#']))
    const vote = voteOn('mode', ['eco', 'warm'], 20_000)
    const first = attic.decisions.decide(vote, { choices: ['eco'] }, forever)
    const opened = await peer.hear('the opening', ({ topic }) => topic.endsWith('/attic'))
    const id = opened.topic.split('/')[3] ?? ''
    // A word that the cellar did not sign; and one of its topic's device that another signed.
    const cellar = devices[2] as SiteDevice
    const stranger = Identity.open('cellar', join(cellar.stateDir, 'stranger'))
    const ballot = { kind: 'ballot', id, choices: ['warm'] }
    await peer.say(`ganglion/site/decide/${id}/cellar`, seal(stranger, 'decide', ballot))
    await peer.say(`ganglion/site/decide/${id}/cellar`, seal(bath.device.identity, 'decide', ballot))
    await until('both are refused', () => attic.decisions.refused >= 2)
    await bath.decisions.decide(vote, { choices: ['eco'] }, AbortSignal.timeout(100)).catch(() => {})
    const honest = await peer.hear(
      'the ballot of the bath',
      ({ topic, payload }) => topic.endsWith('/bath') && `${payload}`.includes('ballot'),
    )
    await peer.say(
      `ganglion/site/decide/${id}/cellar`,
      seal(cellar.identity, 'decide', { kind: 'abstain', id }),
    )
    expect(await first).toMatchObject({ decided: true, value: 'eco', reason: '2 of 2 votes are for eco' })

    // The bath's old ballot is said again, in the next decision.
    const second = attic.decisions.decide(
      { ...vote, subject: 'next', lastsMs: 1_000 },
      { choices: ['warm'] },
      forever,
    )
    const before = attic.decisions.refused
    const next = await peer.hear(
      'the next opening',
      ({ topic }) => topic.endsWith('/attic') && !topic.includes(id),
    )
    await peer.say(next.topic.replace(/attic$/, 'bath'), honest.payload)
    await until('it is refused', () => attic.decisions.refused > before)
    expect(await second).toMatchObject({ decided: true, value: 'warm', reason: '1 of 1 votes are for warm' })
  }, 60_000)

  test('a task goes to the cheapest contractor, and to the next when that one fails', async () => {
    const devices = await site('attic', 'bath', 'cellar')
    const costs: Record<string, number> = { bath: 1, cellar: 2 }
    const [attic] = devices.map((device) =>
      decisionsOf(device, {
        contractor: {
          offer: async (_subject, task) => {
            const cost = costs[device.name]
            if (cost === undefined) return undefined
            const work = async () => {
              if (device.name === 'bath') throw new Error('no water')
              return { did: task }
            }
            return { cost, work }
          },
        },
      }),
    )
    const net = { what: 'contract-net', subject: 'fetch', task: 'wood', lastsMs: 20_000 } as const
    expect(await attic?.decisions.decide(net, {}, forever)).toMatchObject({
      ...{ decided: true, winner: 'cellar', price: 2, value: { did: 'wood' } },
    })
    expect(attic?.records[0]?.notes).toEqual(['bath reported that it failed'])
  }, 60_000)

  test('an agent’s call is a decision; one that a crash cut off is uncertain', async () => {
    const rooms = (await site('attic', 'bath', 'cellar', 'den')).map((device) => decisionsOf(device))
    const ask = (n: number, op: 'decide.agree' | 'decide.vote', args: object, resumed = false) => {
      const { decisions, device } = rooms[n] as (typeof rooms)[number]
      const service = decideService({ decisions, known: () => device.peers.known, nowMs: realClock.nowMs })
      const call = { id: 1, op, args: args as never }
      const caller = { agent: 'comfort', token: 1 }
      return service.perform({ caller, call, resumed, askedMs: 0, emit: () => true }, forever)
    }
    const args = { subject: 'price', value: { ct: 31 }, deadlineMs: realClock.nowMs() + 20_000 }
    const agreed = await Promise.all(rooms.map((_, n) => ask(n, 'decide.agree', args)))
    for (const one of agreed)
      expect(one).toMatchObject({ ok: true, value: { decided: true, value: { ct: 31 } } })
    expect(await ask(0, 'decide.vote', { subject: 'a b', choices: [] })).toMatchObject({
      error: { code: 'bad-request' },
    })
    expect(await ask(0, 'decide.agree', args, true)).toMatchObject({ error: { code: 'uncertain' } })
  }, 60_000)

  test('a device’s safety rules stop a decision, with their reason [decide-5]', async () => {
    const devices = await site('attic', 'bath', 'cellar')
    const [attic] = devices.map((device) =>
      decisionsOf(device, {
        veto: ({ subject }) =>
          device.name === 'cellar' && subject === 'boiler' ? 'the flue is blocked' : undefined,
      }),
    )
    const vote = voteOn('boiler', ['on'], 20_000)
    const end = await attic?.decisions.decide(vote, { choices: ['on'] }, forever)
    expect(end).toMatchObject({ decided: false, reason: 'cellar vetoed it: the flue is blocked' })
  })
})
