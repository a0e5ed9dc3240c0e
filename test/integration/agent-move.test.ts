/** Agents that move between two devices over a real broker. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { agentsFile } from '../../runtime/agent/store/agent-store.ts'
import { seal } from '../../runtime/agent/together/envelope.ts'
import type { Bus } from '../../runtime/link/bus.ts'
import type { Link } from '../../runtime/link/session.ts'
import { moveLimits } from '../../runtime/wire/move.ts'
import { MovingDevice, type MovingDeviceDeps, stepping } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { JumpingClock } from '../fixtures/jumping-clock.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

interface Here {
  readonly site: SiteDevice
  readonly service: ScriptedService
  readonly device: MovingDevice
  readonly clock: JumpingClock
  /** Words that do not reach it. */
  readonly deaf: Set<string>
}

async function opened(site: SiteDevice, more: Partial<MovingDeviceDeps> = {}): Promise<Here> {
  const service = new ScriptedService(['memory.get', 'command', 'on', 'sleep'])
  const directory = join(site.stateDir, 'agents')
  const { identity, link } = site
  const clock = new JumpingClock()
  const deaf = new Set<string>()
  const bus = hardOfHearing(link, deaf)
  const device = await MovingDevice.open({
    ...{ clock, bus, identity, directory, services: [service] },
    ...more,
  })
  stack.use(device)
  return { site, service, device, clock, deaf }
}

/** The link, on which some words are lost. */
function hardOfHearing(link: Link, deaf: ReadonlySet<string>): Bus {
  return new Proxy(link, {
    get(target, property) {
      if (property === 'subscribe')
        return (filter: string, taker: Parameters<Link['subscribe']>[1]) =>
          target.subscribe(filter, (message) => {
            const { body } = JSON.parse(Buffer.from(message.payload).toString())
            return deaf.has(JSON.parse(body).kind) ? undefined : taker(message)
          })
      const value = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function two(more: Partial<MovingDeviceDeps> = {}): Promise<[Here, Here]> {
  const [hub, cellar] = await openSite(broker.url, ['hub', 'cellar'])
  for (const site of [hub, cellar]) stack.use(site as SiteDevice)
  return [await opened(hub as SiteDevice), await opened(cellar as SiteDevice, more)]
}

/** It is kept in the cellar; the hub, which is to hear of that, ends before it does. */
async function endsOnceKept(hub: Here, cellar: Here): Promise<void> {
  await hub.device.run(traveller)
  await hub.service.nth(1)
  hub.deaf.add('kept')
  hub.device.mover.move('traveller', 'cellar').catch(() => {})
  await until('it is kept', async () => (await states(cellar))[0] === 'traveller arriving')
  await hub.device[Symbol.asyncDispose]()
}

/** What the device heard. */
async function said(peer: Peer, kind: string): Promise<{ readonly id: string }> {
  const { payload } = await peer.hear(kind, saysKind(kind))
  return JSON.parse(JSON.parse(Buffer.from(payload).toString()).body)
}
const pieceBytes = moveLimits.chunkBytes
const saysKind =
  (kind: string) =>
  ({ payload }: { readonly payload: Uint8Array }) =>
    JSON.parse(JSON.parse(Buffer.from(payload).toString()).body).kind === kind

const states = async ({ device }: Here) =>
  (await device.agents()).list().map(({ name, state }) => `${name} ${state}`)

/** It tells where it is after each answer. */
const traveller = stepping(
  'traveller',
  `const met = []
   const stream = ctx.on('light.*')
   ctx.entity('light.a').command({ state: 'on' }).then(() => met.push('lit'))
   for await (const seen of stream) {
     met.push([seen.n, await ctx.device()])
     if (seen.n === 9) return met
   }`,
)

describe('an agent that moves', () => {
  test('goes on in the middle of its awaits, with what it had asked for performed as resumed, and under a higher token', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    hub.device.luggage.set('traveller', 'what it remembers')
    const stream = await hub.service.nth(1)
    stream.emit({ n: 1 })
    await until('its turn', async () => (await hub.device.agents()).list()[0]?.turns === 2)
    const moved = await hub.device.mover.move('traveller', 'cellar')
    expect(moved).toMatchObject({ agent: 'traveller', device: 'cellar', pending: false })
    expect(await states(hub)).toEqual([])
    expect(hub.device.luggage.size).toBe(0)
    expect(cellar.device.luggage.get('traveller')).toBe('what it remembers')

    const [command, there] = [await cellar.service.nth(0), await cellar.service.nth(1)]
    expect(there).toMatchObject({ resumed: true, call: { op: 'on', id: 2 } })
    expect(command).toMatchObject({ resumed: true, call: { op: 'command', id: 1 } })
    expect(there.caller.token).toBeGreaterThan(stream.caller.token)
    command.answer({ entity: 'light.a', shown: 'on', ms: 1 })
    there.emit({ n: 2 })
    there.emit({ n: 9 })
    await until('its end', async () => (await states(cellar))[0] === 'traveller ended')
    const [ended] = (await cellar.device.agents()).list()
    expect(JSON.parse(ended?.reason ?? '')).toEqual([[1, 'hub'], 'lit', [2, 'cellar'], [9, 'cellar']])
    expect(hub.service.asked).toHaveLength(2)
  })

  test('comes back in the middle of the same await, and with 2 MB of its own', async () => {
    const [hub, cellar] = await two()
    const hashed = vi.spyOn(Object.getPrototypeOf(createHash('sha256')), 'update')
    stack.defer(() => hashed.mockRestore())
    const heavy = stepping(
      'heavy',
      `let seed = 1
       const random = () => (seed = (seed * 48271) % 2147483647)
       const kept = Array.from({ length: 200000 }, random)
       const first = await ctx.memory.get('a')
       return [first, kept.length, kept.reduce((sum, one) => (sum + one) % 1000003, 0), await ctx.device()]`,
    )
    await hub.device.run(heavy)
    await hub.service.nth(0)
    // The engine is hashed when it is opened.
    await cellar.device.agents()
    hashed.mockClear()
    const there = await hub.device.mover.move('heavy', 'cellar')
    expect(there.bytes).toBeGreaterThan(500_000)
    await cellar.service.nth(0)
    expect(await cellar.device.mover.move('heavy', 'hub')).toMatchObject({ pending: false })
    const again = await hub.service.nth(1)
    expect(again).toMatchObject({ resumed: true, call: { id: 1 } })
    again.answer('kept')
    await until('its end', async () => (await states(hub))[0] === 'heavy ended')
    const [ended] = (await hub.device.agents()).list()
    expect(JSON.parse(ended?.reason ?? '')).toEqual(['kept', 200_000, expect.any(Number), 'hub'])
    expect(await states(cellar)).toEqual([])
    // Whatever is larger than a piece is hashed beside the control loop: no step of it takes longer where an agent has more.
    const sizes = hashed.mock.calls.map(([bytes]) => (bytes as Uint8Array).length)
    expect(sizes.filter((size) => size > pieceBytes)).toEqual([])
    expect(sizes.filter((size) => size === pieceBytes).length).toBeGreaterThan(8)
  })

  test('moves although it is stopped, and is stopped there', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    await hub.service.nth(1)
    await (await hub.device.agents()).stop('traveller')
    await hub.device.mover.move('traveller', 'cellar')
    expect(await states(cellar)).toEqual(['traveller stopped'])
    await expect((async () => (await hub.device.agents()).stop('traveller'))()).rejects.toThrow(
      'there is no agent called traveller: it went to cellar',
    )
    await (await cellar.device.agents()).resume('traveller')
    await cellar.service.nth(1)
    expect(cellar.service.asked[0]).toMatchObject({ resumed: true })
  })
})

describe('a move that cannot be', () => {
  test.each([
    [
      'a capability',
      () => 'it has nothing called light.*',
      /cellar does not take it: it has nothing called light\.\*/,
    ],
    ['a model', () => 'it cannot run the model person-detector', /cannot run the model person-detector/],
  ])('to a device that lacks %s is refused before the agent stops [move-3]', async (_what, lacks, words) => {
    const [hub] = await two({ lacks })
    await hub.device.run(traveller)
    const running = await hub.service.nth(1)
    await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow(words)
    expect(await states(hub)).toEqual(['traveller running'])
    expect(running.signal.aborted).toBe(false)
  })

  test('to a device that takes no agents of this one is refused, and nothing is opened there for it [move-9]', async () => {
    const [hub, cellar] = await two({ accepts: { acceptFrom: ['attic'] } })
    await hub.device.run(traveller)
    await hub.service.nth(1)
    await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow(
      'cellar does not take it: agents of hub do not come there: name hub in device.agents.acceptFrom of its configuration',
    )
    expect(await states(hub)).toEqual(['traveller running'])
    expect(existsSync(join(cellar.site.stateDir, 'agents'))).toBe(false)
  })

  test('is refused by a device that knows its people, unless one of them proved here who they are; both are on record there [move-9]', async () => {
    const recorded: object[] = []
    const record = async (entry: object) => void recorded.push(entry)
    const [hub, cellar] = await two({ accepts: { proven: true }, record })
    await hub.device.run(traveller)
    await hub.service.nth(1)
    const { mover } = hub.device
    await expect(mover.move('traveller', 'cellar', { shown: 'claimed:Ada', proven: false })).rejects.toThrow(
      /nobody has proved to hub who they are/,
    )
    await mover.move('traveller', 'cellar', { shown: 'local:ada', proven: true })
    expect(await states(cellar)).toEqual(['traveller running'])
    expect(recorded).toEqual([
      { kind: 'agent-comes', agent: 'traveller', from: 'hub', by: 'local:ada', grants: [] },
    ])
  })

  test('whose memory the other device cannot unpack is refused there, and goes on here [move-3]', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    await hub.service.nth(1)
    hub.device.luggage.set('traveller', 'spoilt')
    await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow(
      'what traveller remembers is spoilt',
    )
    expect([await states(hub), await states(cellar)]).toEqual([['traveller running'], []])
  })

  test('to a device that cannot put on record what comes is refused there, and it goes on here [move-3]', async () => {
    const record = () => Promise.reject(new Error('the audit log cannot be written'))
    const [hub, cellar] = await two({ record })
    await hub.device.run(traveller)
    await hub.service.nth(1)
    await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow(
      'cellar does not take it: the audit log cannot be written',
    )
    expect([await states(hub), await states(cellar)]).toEqual([['traveller running'], []])
  })

  test('says why: the name is taken, nobody of that name is known, it is here already, there is no such agent', async () => {
    const [hub, cellar] = await two()
    for (const { device } of [hub, cellar]) await device.run(traveller)
    const { mover } = hub.device
    await expect(mover.move('traveller', 'cellar')).rejects.toThrow(
      /there is an agent called traveller here already/,
    )
    await expect(mover.move('traveller', 'attic')).rejects.toThrow(
      'no device called attic is known here: cellar',
    )
    await expect(mover.move('traveller', 'hub')).rejects.toThrow('traveller is on hub already')
    await expect(mover.move('nobody', 'cellar')).rejects.toThrow('there is no agent called nobody')
    expect([await states(hub), await states(cellar)]).toEqual([['traveller running'], ['traveller running']])
  })

  test('leaves it where it was, going on, when the other device goes away in the middle [move-3]', async () => {
    const [hub, cellar] = await two()
    const clock = hub.clock
    await hub.device.run(traveller)
    await hub.service.nth(1)
    // It says yes, and takes no piece of it.
    cellar.deaf.add('chunk')
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/site/move/cellar/hub']))
    const moving = hub.device.mover.move('traveller', 'cellar')
    const failed = expect(moving).rejects.toThrow('cellar has not answered for 20 s')
    await until('it is on its way', async () => (await states(hub))[0] === 'traveller moving')
    await expect((async () => (await hub.device.agents()).stop('traveller'))()).rejects.toThrow(
      /on its way to cellar/,
    )
    await peer.hear('a piece', saysKind('chunk'))
    clock.advance(30_000)
    await failed
    expect(await states(hub)).toEqual(['traveller running'])
    expect(await hub.service.nth(2)).toMatchObject({ resumed: true })
    const lines = (await hub.device.agents()).log('traveller', 9)
    expect(lines.at(-1)).toMatchObject({ text: 'it stayed here: cellar has not answered for 20 s' })
  })
})

describe('a device that ends in the middle of a move', () => {
  test('and does not come back leaves it with the other, which says so and does not run it; a person may begin it there [move-1]', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    await hub.service.nth(1)
    // All of it is there, and the word that it is never comes back.
    hub.deaf.add('kept')
    hub.device.mover.move('traveller', 'cellar').catch(() => {})
    await until('it is kept', async () => (await states(cellar))[0] === 'traveller arriving')
    await hub.device[Symbol.asyncDispose]()
    const agents = await cellar.device.agents()
    await expect(agents.resume('traveller')).rejects.toThrow(
      'traveller: it comes from hub, which has not let go of it yet; where that device is gone for good, "ganglion agent resume traveller --here" begins it here',
    )
    expect(cellar.service.asked).toHaveLength(0)
    await agents.resume('traveller', { here: true })
    const there = await cellar.service.nth(1)
    expect(there).toMatchObject({ resumed: true })

    // The hub comes back after all: it sees that its agent went on elsewhere.
    const back = await opened(hub.site)
    await until('the hub has let go of it', async () => (await states(back)).length === 0)
    expect(back.service.asked).toHaveLength(0)
    expect(await states(cellar)).toEqual(['traveller running'])
  })

  test('lets go of it where a person was just beginning it on the other when it comes back [move-2]', async () => {
    const unpacking = Promise.withResolvers<void>()
    const [hub, cellar] = await two({ unpacking: unpacking.promise })
    await endsOnceKept(hub, cellar)
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/site/move/cellar/hub']))
    const begun = (await cellar.device.agents()).resume('traveller', { here: true })
    const back = await opened(hub.site)
    await peer.hear('that it stays', saysKind('drop'))
    await cellar.device.mover.isThere('hub')
    unpacking.resolve()
    await begun
    await until('the hub has let go of it', async () => (await states(back)).length === 0)
    expect(back.service.asked).toHaveLength(0)
    expect(await states(cellar)).toEqual(['traveller running'])
  })

  test('before it let go of it goes on with it when it is back, and the other drops what came [move-1]', async () => {
    const [hub, cellar] = await two()
    await endsOnceKept(hub, cellar)
    const back = await opened(hub.site)
    expect(await back.service.nth(1)).toMatchObject({ resumed: true })
    await until('the other has dropped it', async () => (await states(cellar)).length === 0)
    expect(await states(back)).toEqual(['traveller running'])
    expect(cellar.service.asked).toHaveLength(0)
  })

  test('after it let go of it never runs it again, and the other begins it [move-1]', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    await hub.service.nth(1)
    cellar.deaf.add('begin')
    hub.device.mover.move('traveller', 'cellar').catch(() => {})
    await until('it was given away', async () => (await states(hub))[0] === 'traveller moved')
    await hub.device[Symbol.asyncDispose]()
    cellar.deaf.delete('begin')
    const back = await opened(hub.site)
    expect(await cellar.service.nth(1)).toMatchObject({ resumed: true })
    await until('the hub has forgotten it', async () => (await states(back)).length === 0)
    expect(back.service.asked).toHaveLength(0)
  })

  test('having lost what came gives it back: nobody else can ever begin it [move-1]', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    const first = await hub.service.nth(1)
    cellar.deaf.add('begin')
    hub.device.mover.move('traveller', 'cellar').catch(() => {})
    await until('it was given away', async () => (await states(hub))[0] === 'traveller moved')
    await (await cellar.device.agents()).remove('traveller')
    cellar.deaf.delete('begin')
    const again = await hub.service.nth(2)
    expect(again.caller.token).toBeGreaterThan(first.caller.token)
    expect(await states(hub)).toEqual(['traveller running'])
  })
})

describe('a device that an agent came from, or went to and came back', () => {
  test('has no say in it any more: that it has begun it again ends nothing [move-10]', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    await hub.service.nth(1)
    const topic = 'ganglion/site/move/hub/cellar'
    const peer = stack.use(await Peer.connect(broker.url, [topic]))
    await hub.device.mover.move('traveller', 'cellar')
    await cellar.service.nth(1)
    await cellar.device.mover.move('traveller', 'hub')
    const { moves } = await hub.device.agents()
    await until('both know that it came', async () => moves.unfinished(() => true).length === 0)
    const { id } = await said(peer, 'begin')
    const word = { kind: 'seized', to: 'hub', id, token: 2 ** 45 }
    await peer.say(topic, seal(cellar.site.identity, 'move', word))
    expect(await cellar.device.mover.isThere('hub')).toBe(true)
    expect(await states(hub)).toEqual(['traveller running'])
  })

  test('and forgot that it stayed there says so: what was kept for it goes [move-1]', async () => {
    const [hub, cellar] = await two()
    await endsOnceKept(hub, cellar)
    // As an earlier version did after 256 other moves.
    const db = new DatabaseSync(join(hub.site.stateDir, 'agents', agentsFile))
    db.exec(`DELETE FROM move; UPDATE agent SET state = 'running'`)
    db.close()
    const back = await opened(hub.site)
    await back.service.nth(1)
    await until('what was kept is gone', async () => {
      cellar.clock.advance(5_000)
      return (await states(cellar)).length === 0
    })
    expect(await states(back)).toEqual(['traveller running'])
  })
})

describe('a device that has lost what it knew of its agents', () => {
  test('has not what was on its way dropped, which may be all that is left of it: a person begins it there [move-14]', async () => {
    const [hub, cellar] = await two()
    await endsOnceKept(hub, cellar)
    const directory = join(hub.site.stateDir, 'agents')
    for (const file of readdirSync(directory)) rmSync(join(directory, file))
    writeFileSync(join(directory, agentsFile), 'this is no database')
    const back = await opened(hub.site)
    const agents = await cellar.device.agents()
    const reason = 'it comes from hub, which has lost what it knew of it'
    await until('it is known to be lost', async () => {
      cellar.clock.advance(5_000)
      return agents.list()[0]?.reason === reason
    })
    expect([await states(back), await states(cellar)]).toEqual([[], ['traveller arriving']])
    await expect(agents.resume('traveller')).rejects.toThrow(`traveller: ${reason}; where that device is`)
    await agents.resume('traveller', { here: true })
    expect(await cellar.service.nth(1)).toMatchObject({ resumed: true })
    await until('both know the end', async () => {
      cellar.clock.advance(5_000)
      return agents.moves.unfinished(() => true).length === 0
    })
    expect(await states(cellar)).toEqual(['traveller running'])
  })
})

describe('what comes', () => {
  test('does not use up the tokens of the device that it comes to', async () => {
    const [hub, cellar] = await two()
    const topic = 'ganglion/site/move/cellar/hub'
    const peer = stack.use(await Peer.connect(broker.url, [topic]))
    await hub.device.run(traveller)
    await hub.service.nth(1)
    cellar.deaf.add('begin')
    hub.device.mover.move('traveller', 'cellar').catch(() => {})
    await peer.hear('that it may begin', saysKind('begin'))
    // Whatever was said before this is answered has come.
    await cellar.device.mover.isThere('hub')
    const [move] = (await hub.device.agents()).moves.unfinished(() => true)
    await hub.device[Symbol.asyncDispose]()
    cellar.deaf.delete('begin')
    const lie = { kind: 'begin', to: 'cellar', id: move?.id, n: 'n', token: Number.MAX_SAFE_INTEGER }
    await peer.say(topic, seal(hub.site.identity, 'move', lie))
    const refused = () => cellar.site.link.stats().badMessages > 0
    await until('it is heard', async () => refused() || (await states(cellar))[0] === 'traveller running')
    await cellar.device.run(stepping('other', 'await ctx.sleep(1)'))
    expect(await states(cellar)).toContain('other running')
  })

  test('erases what an agent of its name remembered that had ended there', async () => {
    const [hub, cellar] = await two()
    await cellar.device.run(stepping('traveller', 'return 1'))
    await until('its end', async () => (await states(cellar))[0] === 'traveller ended')
    cellar.device.luggage.set('traveller', 'what the other one remembered')
    await hub.device.run(traveller)
    await hub.service.nth(1)
    cellar.deaf.add('begin')
    hub.device.mover.move('traveller', 'cellar').catch(() => {})
    await until('it is kept', async () => (await states(cellar))[0] === 'traveller arriving')
    await until('it is erased', () => !cellar.device.luggage.has('traveller'))
  })

  test('is nothing where another signed it, where it was said to another, or about nothing that both know [move-4]', async () => {
    const [hub, cellar] = await two()
    await hub.device.run(traveller)
    await hub.service.nth(1)
    await cellar.device.agents()
    const said = (from: SiteDevice, body: object) => seal(from.identity, 'move', body)
    const topic = 'ganglion/site/move/hub/cellar'
    const peer = stack.use(await Peer.connect(broker.url, []))
    const bad = () => hub.site.link.stats().badMessages
    for (const [at, payload] of [
      said(hub.site, { kind: 'drop', to: 'hub', id: 'x' }),
      said(cellar.site, { kind: 'drop', to: 'attic', id: 'x' }),
      said(cellar.site, { kind: 'drop', to: 'hub', id: 'x' }).replace('drop', 'dr0p'),
      said(cellar.site, { kind: 'begin', to: 'hub', id: 'x', n: 'y', token: -1 }),
    ].entries()) {
      await peer.say(topic, payload)
      await until('it is counted', () => bad() === at + 1)
    }
    for (const body of [
      { kind: 'begin', to: 'hub', id: 'x', n: 'y', token: 9e15 },
      { kind: 'seized', to: 'hub', id: 'x', token: 9e15 },
      { kind: 'chunk', to: 'hub', id: 'x', at: 0, of: 1, sha256: '0'.repeat(64), part: 'AAAA' },
    ])
      await peer.say(topic, said(cellar.site, body))
    // What is answered last was heard last.
    await expect(cellar.device.mover.move('traveller', 'hub')).rejects.toThrow(/no agent called traveller/)
    expect(await states(hub)).toEqual(['traveller running'])
  })
})
