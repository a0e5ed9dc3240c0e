/** Copies of agents on other devices of a site, over a real broker, and what becomes of the agents of a device that dies. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Leases } from '../../runtime/agent/leader/leases.ts'
import { ownerIsThere } from '../../runtime/agent/move/owner-lease.ts'
import { Replicator, type ReplicatorOptions } from '../../runtime/agent/move/replicate.ts'
import { TakeOver } from '../../runtime/agent/move/take-over.ts'
import { StoreFile } from '../../runtime/agent/store/store-file.ts'
import { seal, signedBytes } from '../../runtime/agent/together/envelope.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { MovingDevice, type MovingDeviceDeps, stepping } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { JumpingClock } from '../fixtures/jumping-clock.ts'
import { openDevice, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

const names = ['hub', 'cellar', 'attic'] as const
type Name = (typeof names)[number]

interface Here {
  readonly site: SiteDevice
  readonly service: ScriptedService
  readonly device: MovingDevice
  readonly clock: JumpingClock
  readonly leases: Leases
  /** As a device that ends: what is under way in it is not finished first. */
  die(): Promise<void>
}

const folders = new Map<string, string>()
function folderOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `copies-${name}-`))
  stack.defer(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function opened(name: Name, more: Partial<MovingDeviceDeps> = {}): Promise<Here> {
  const folder = folders.get(name) ?? ''
  const site = await openDevice(broker.url, name, {}, folder)
  const service = new ScriptedService(['memory.get', 'command', 'on', 'sleep'])
  const clock = new JumpingClock()
  const { identity, link: bus } = site
  const directory = join(folder, 'agents')
  const copies = { to: ['cellar', 'attic'] }
  const deps = { clock, bus, identity, directory, services: [service], copies }
  const device = await MovingDevice.open({ ...deps, ...more })
  const leases = Leases.open(
    {
      ...{ clock: realClock, log: silentLog, bus, signer: identity, lives: () => false },
      refuses: (name) => ownerIsThere(name, site.peers),
    },
    { path: join(folder, 'granted-leases.json') },
  )
  let dead: Promise<void> | undefined
  const close = async () => {
    await device[Symbol.asyncDispose]()
    leases[Symbol.dispose]()
    await site[Symbol.asyncDispose]()
  }
  const die = () => {
    dead ??= close()
    return dead
  }
  stack.defer(die)
  return { site, service, device, clock, leases, die }
}

/** The hub has the agents; the others keep copies. */
async function three(more: Partial<MovingDeviceDeps> = {}): Promise<[Here, Here, Here]> {
  for (const name of names) folders.set(name, folderOf(name))
  const hub = await opened('hub')
  const cellar = await opened('cellar', { keepsFor: ['hub'], ...more })
  const attic = await opened('attic', { keepsFor: ['hub'] })
  await until('devices that believe each other', () =>
    [hub, cellar, attic].every(({ site }) => site.link.connected && site.peers.known.length === 3),
  )
  return [hub, cellar, attic]
}

function replicates({ device, clock }: Here, options: Partial<ReplicatorOptions> = {}): Replicator {
  const known = async () => (await device.agents()).moves.copies
  return stack.use(
    new Replicator(
      { clock, log: silentLog, mover: device.mover, known },
      { to: ['cellar'], everyMs: 60_000, ...options },
    ),
  )
}

function takesOver({ device, clock, leases, site }: Here): void {
  const known = async () => (await device.agents()).moves.copies
  const deps = { clock, log: silentLog, mover: device.mover, known, leases }
  const away = () => site.peers.away
  stack.use(new TakeOver({ ...deps, bus: site.link, away }, { from: ['hub'], afterMs: 30_000 }))
}

const states = async ({ device }: Here) =>
  (await device.agents()).list().map(({ name, state }) => `${name} ${state}`)

/** Time passes for this device until something is so. */
async function passing(here: Here, what: string, holds: () => Promise<boolean>): Promise<void> {
  await until(
    what,
    async () => {
      here.clock.advance(500)
      return await holds()
    },
    60_000,
  )
}

const traveller = stepping(
  'traveller',
  `const met = []
   const stream = ctx.on('light.*')
   for await (const seen of stream) {
     met.push([seen.n, await ctx.device()])
     if (seen.n === 9) return met
   }`,
)

/** It runs on the hub, has taken a step, and each of these has a copy. */
async function copied([hub, ...others]: readonly Here[], to: readonly Name[]): Promise<Replicator> {
  await hub?.device.run(traveller)
  hub?.device.luggage.set('traveller', 'what it remembers')
  const stream = await hub?.service.nth(0)
  stream?.emit({ n: 1 })
  await until('its turn', async () => (await hub?.device.agents())?.list()[0]?.turns === 2)
  const replicator = replicates(hub as Here, { to })
  hub?.clock.advance(60_000)
  for (const other of others.slice(0, to.length))
    await until('a copy', async () => (await states(other))[0] === 'traveller standby')
  return replicator
}

describe('an agent of which another device keeps copies', () => {
  test('goes on there when its device has died, from the last copy, once; its device, when it is back, gives way [replica-1] [replica-4]', async () => {
    const recorded: object[] = []
    const record = async (entry: object) => void recorded.push(entry)
    const [hub, cellar, attic] = await three({ record })
    await copied([hub, cellar], ['cellar'])
    expect(await states(hub)).toEqual(['traveller running'])
    const before = (await hub.device.agents()).list()[0]?.token ?? 0
    takesOver(cellar)
    await hub.die()
    await until('the hub is away', () => cellar.site.peers.away.has('hub'))
    await passing(
      cellar,
      'it goes on in the cellar',
      async () => (await states(cellar))[0] === 'traveller running',
    )
    const there = await cellar.service.nth(0)
    expect(there).toMatchObject({ resumed: true, call: { op: 'on', id: 1 } })
    expect(there.caller.token).toBeGreaterThan(before)
    expect(cellar.device.luggage.get('traveller')).toBe('what it remembers')
    expect(recorded).toEqual([{ kind: 'copy-begins', agent: 'traveller', from: 'hub' }])

    const back = await opened('hub')
    await until('the hub gives way', async () => (await states(back))[0] === 'traveller ended')
    expect(back.service.asked).toHaveLength(0)
    expect((await back.device.agents()).list()[0]?.reason).toMatch(/^it went on on cellar while this device/)
    there.emit({ n: 9 })
    await until('its end', async () => (await states(cellar))[0] === 'traveller ended')
    const [ended] = (await cellar.device.agents()).list()
    expect(JSON.parse(ended?.reason ?? '')).toEqual([
      [1, 'hub'],
      [9, 'cellar'],
    ])
    expect(attic.service.asked).toHaveLength(0)
  }, 120_000)

  test('goes on on one of two that have copies, and the other drops its own [replica-4]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar, attic], ['cellar', 'attic'])
    for (const one of [cellar, attic]) takesOver(one)
    await hub.die()
    const all = async () => [...(await states(cellar)), ...(await states(attic))]
    await passing(cellar, 'it goes on', async () => {
      attic.clock.advance(500)
      return (await all()).includes('traveller running')
    })
    await until('the other has dropped its copy', async () => (await all()).length === 1)
    expect(cellar.service.asked.length + attic.service.asked.length).toBe(1)
  }, 120_000)

  test('is not begun by a device that sees no majority of the site, but by a person there [replica-4] [move-7]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar], ['cellar'])
    await attic.die()
    await hub.die()
    let claims = 0
    const leases = {
      claim: async (...asked: Parameters<Leases['claim']>) => {
        const said = await cellar.leases.claim(...asked)
        claims += 1
        return said
      },
      shown: (name: string) => cellar.leases.shown(name),
    }
    takesOver({ ...cellar, leases: leases as Leases })
    await passing(cellar, 'it has asked for the lease', async () => claims > 0)
    expect(await states(cellar)).toEqual(['traveller standby'])
    const agents = await cellar.device.agents()
    await expect(agents.resume('traveller')).rejects.toThrow(
      'traveller: a copy of what runs on hub; where that device is gone for good, "ganglion agent resume traveller --here" begins it here',
    )
    await agents.resume('traveller', { here: true })
    expect(await cellar.service.nth(0)).toMatchObject({ resumed: true })
    const back = await opened('hub')
    await until('the hub gives way', async () => (await states(back))[0] === 'traveller ended')
    expect(back.service.asked).toHaveLength(0)
  }, 120_000)

  test('goes on on its own device after a restart, once nobody has begun a copy [move-7]', async () => {
    const [hub, cellar] = await three()
    await copied([hub, cellar], ['cellar'])
    await hub.die()
    const back = await opened('hub')
    expect(await back.service.nth(0)).toMatchObject({ resumed: true })
    expect([await states(back), await states(cellar)]).toEqual([['traveller running'], ['traveller standby']])
  })

  test('is not begun against the word of its own device, which meanwhile sends no copies there: that one goes on, the other lets go [move-10]', async () => {
    const [hub, cellar] = await three()
    await copied([hub, cellar], ['cellar'])
    await hub.die()
    await (await cellar.device.agents()).resume('traveller', { here: true })
    const there = await cellar.service.nth(0)
    const back = await opened('hub', { copies: { to: ['attic'] } })
    await until('the cellar lets go of it', async () => (await states(cellar)).length === 0)
    expect(there.signal.aborted).toBe(true)
    await until('it goes on', async () => (await back.device.agents()).runs('traveller'))
    const [{ token = 0 } = {}] = (await back.device.agents()).list()
    expect(token).toBeGreaterThan(there.caller.token)
  })

  test('and went on there is not stopped by a device that never was to have a copy [move-10]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar], ['cellar'])
    await hub.die()
    const agents = await cellar.device.agents()
    await cellar.device.mover.begin('traveller')
    await cellar.service.nth(0)
    const [{ token = 0 } = {}] = agents.list()
    const topic = 'ganglion/site/move/hub'
    const peer = stack.use(await Peer.connect(broker.url, [`${topic}/cellar/+`]))
    // What the cellar keeps on the broker says which agent it is.
    const own = await peer.hear('that it goes on there', () => true)
    const { lineage } = JSON.parse(JSON.parse(Buffer.from(own.payload).toString()).body)
    const said = async (site: SiteDevice, id: string) => {
      const word = { kind: 'seized', to: 'hub', id, token: token + 1, lineage }
      await peer.say(`${topic}/${site.name}/${id}`, seal(site.identity, 'move', word))
    }
    const eve = stack.use(await openDevice(broker.url, 'eve'))
    await until('eve is believed', () => cellar.site.peers.known.includes('eve'))
    await said(eve, 'x')
    expect(await cellar.device.mover.isThere('attic')).toBe(true)
    expect(await states(cellar)).toEqual(['traveller running'])
    // The attic was to have one.
    await said(attic.site, 'z')
    await until('it gives way', async () => (await states(cellar))[0] === 'traveller ended')
  })

  test('is not seized by a device that has a copy and lies: who was never away goes on, whatever that one shows [move-11] [lease-14]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar, attic], ['cellar', 'attic'])
    const lies = attic.site.identity
    const { moves } = await hub.device.agents()
    const copy = () => moves.copies.all().find(({ peer }) => peer === 'attic')?.id ?? ''
    const name = 'agent.hub.traveller'
    // While the hub is there, nobody grants what is its own.
    const claim = { ttlMs: 60_000, withinMs: 500 }
    const claimed = await attic.leases.claim(name, 'copy', claim, new AbortController().signal)
    expect(claimed.ok).toBe(false)
    const granted = (token: number, by: Here, as = by.site.name): [string, string] => {
      const text = JSON.stringify({ kind: 'grant', name, token, at: 1, to: 'attic' })
      const sig = by.site.identity.sign(signedBytes('lease', text))
      return [as, Buffer.from(sig).toString('base64')]
    }
    const lease = (token: number, ...grants: [string, string][]) => ({ token, claim: 1, grants })
    const token = 2 ** 42
    const peer = stack.use(await Peer.connect(broker.url, []))
    const topic = 'ganglion/site/move/hub/attic'
    const shown = {
      nothing: undefined,
      'its own word for all': lease(
        token,
        ...['attic', 'cellar', 'hub'].map((device) => granted(token, attic, device)),
      ),
      'what was granted before the agent was here': lease(1, granted(1, attic), granted(1, cellar)),
    }
    let running = (await hub.device.agents()).list()[0]?.token ?? 0
    for (const [what, lease] of Object.entries(shown)) {
      const id = copy()
      expect(id).not.toBe('')
      const word = { kind: 'seized', to: 'hub', id, token: running + 1e6, lease }
      await peer.say(topic, seal(lies, 'move', word))
      await until(`it goes on under a higher token: ${what}`, async () => {
        const [one] = (await hub.device.agents()).list()
        return one?.state === 'running' && one.token > running + 1e6
      })
      running = (await hub.device.agents()).list()[0]?.token ?? 0
      // The next copy.
      hub.clock.advance(60_000)
      await until('another copy', () => copy() !== '' && copy() !== id)
      await until('it is kept', async () => (await states(attic))[0] === 'traveller standby')
      expect(await attic.device.mover.isThere('hub')).toBe(true)
    }
    expect(await states(hub)).toEqual(['traveller running'])
    // Where more than half say that it was away, it was.
    const most = lease(token, granted(token, attic), granted(token, cellar))
    const word = { kind: 'seized', to: 'hub', id: copy(), token, lease: most }
    await peer.say(topic, seal(lies, 'move', word))
    await until('it gives way', async () => (await states(hub))[0] === 'traveller ended')
  }, 60_000)

  test('no longer knows whom somebody had forgotten on its device, also where it was away then, and whose grants were taken back [replica-7]', async () => {
    const [hub, cellar, attic] = await three()
    const replicator = await copied([hub, cellar, attic], ['cellar', 'attic'])
    const secret = 'Ada drinks tea'
    const files = (name: string) =>
      ['agents.db', 'agents.db-wal'].map((file) =>
        readFileSync(join(folders.get(name) ?? '', 'agents', file)).includes(secret),
      )
    const luggage = (one: Here) => (one.device.luggage.get('traveller') ?? '').split('\n')
    hub.device.luggage.set('traveller', `${secret}\nBen drinks milk`)
    const agents = await hub.device.agents()
    await agents.grant('traveller', '["memory"]')
    await replicator.changed()
    hub.clock.advance(1_000)
    const granted = async (one: Here) => (await one.device.agents()).grantsOf('traveller')
    for (const one of [cellar, attic])
      await until('a copy with what it may do', async () => (await granted(one)) === '["memory"]')
    expect([...files('cellar'), ...files('attic')]).toContain(true)
    await attic.die()

    // The file is cleared where something went, and once.
    const clears = vi.spyOn(StoreFile.prototype, 'clearAway')
    expect(await (await cellar.device.agents()).moves.copies.forget('Nobody', async () => 0)).toBe(0)
    expect(clears).not.toHaveBeenCalled()
    clears.mockRestore()
    // Each device that is there, at once.
    expect(await (await cellar.device.agents()).moves.copies.forget('Ada', async () => 0)).toBe(1)
    expect(files('cellar')).toEqual([false, false])
    hub.device.luggage.set('traveller', 'Ben drinks milk')
    // What is copied while it is being forgotten is copied again.
    const { copies } = agents.moves
    const urgent = () => copies.copyable().map((one) => one.urgent)
    const asBefore = urgent()
    const own = async () => {
      expect(urgent()).toEqual(asBefore)
      return 2
    }
    expect(await copies.forget('Ada', own)).toBe(2)
    expect(urgent()).not.toEqual(asBefore)
    await replicator.changed()
    hub.clock.advance(1_000)
    // And who was away when it is back, although the agent has taken no turn since.
    const back = await opened('attic', { keepsFor: ['hub'] })
    const before = (await back.device.agents()).moves.copies.holds('hub', 'traveller')
    await until('its line', () => back.site.link.connected)
    await passing(hub, 'a copy that was made since', async () => {
      const holds = (await back.device.agents()).moves.copies.holds('hub', 'traveller')
      return holds !== undefined && holds !== before
    })
    await hub.die()
    await back.device.mover.begin('traveller')
    expect(luggage(back)).toEqual(['Ben drinks milk'])
  }, 60_000)

  test('is begun by hand only where its own device does not answer [move-7]', async () => {
    const [hub, cellar] = await three()
    await copied([hub, cellar], ['cellar'])
    await expect(cellar.device.mover.begin('traveller')).rejects.toThrow(
      'hub is there and has it: "ganglion agent move traveller cellar" brings it here',
    )
    expect([await states(hub), await states(cellar)]).toEqual([['traveller running'], ['traveller standby']])
  })

  test('moves once those who have copies have dropped them, and not while one of them does not say so [move-12]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar, attic], ['cellar', 'attic'])
    await attic.die()
    const moving = hub.device.mover.move('traveller', 'cellar')
    let over = false
    const refused = expect(moving)
      .rejects.toThrow(
        'attic has a copy of it, and does not say that it has dropped it: is it on? Where it is gone for good, name it no more in device.agents.replicate, and restart hub',
      )
      .finally(() => {
        over = true
      })
    await passing(hub, 'an answer', async () => over)
    await refused
    expect(await states(hub)).toEqual(['traveller running'])
    const back = await opened('attic', { keepsFor: ['hub'] })
    await until('the attic is back', () => back.site.link.connected)
    await hub.device.mover.move('traveller', 'cellar')
    await until('it is in the cellar', async () => (await states(cellar))[0] === 'traveller running')
    expect([await states(hub), await states(back)]).toEqual([[], []])
  }, 60_000)

  test('is forgotten there when its device is configured to send none any more [replica-2]', async () => {
    const [hub, cellar] = await three()
    await copied([hub, cellar], ['cellar'])
    await hub.die()
    const back = await opened('hub', { copies: undefined })
    await until('it is forgotten', async () => (await states(cellar)).length === 0)
    await until('the hub knows', async () => (await back.device.agents()).moves.copies.all().length === 0)
    expect(await states(back)).toEqual(['traveller running'])
  })

  test('is forgotten there when it was removed, and not begun when a person stopped it [replica-2] [replica-6]', async () => {
    const [hub, cellar] = await three()
    const replicator = await copied([hub, cellar], ['cellar'])
    const agents = await hub.device.agents()
    await agents.stop('traveller')
    await replicator.changed()
    hub.clock.advance(1_000)
    const moves = async () => (await cellar.device.agents()).moves.copies
    await until('it is known as stopped', async () => (await moves()).standbys()[0]?.was === 'stopped')
    await agents.remove('traveller')
    await replicator.changed()
    await passing(hub, 'it is forgotten', async () => (await states(cellar)).length === 0)
    await until('the hub knows', async () => agents.moves.copies.all().length === 0)
  })
})

describe('a copy', () => {
  test('is refused by who keeps none of that device, and by a full disk, which keeps the last one', async () => {
    const [hub, cellar, attic] = await three({ bytesMax: 3 * 1024 * 1024 })
    await copied([hub, cellar], ['cellar'])
    await cellar.device.run(stepping('own', `await ctx.memory.get('a')`))
    await expect(cellar.device.mover.copy('own', 'attic')).rejects.toThrow(
      'attic does not take it: it keeps no copies of agents of cellar (device.agents.takeOver)',
    )
    expect(await states(attic)).toEqual([])
    hub.device.luggage.set('traveller', 'x'.repeat(4 * 1024 * 1024))
    await expect(hub.device.mover.copy('traveller', 'cellar')).rejects.toThrow(
      /cellar does not take it: its copies have \d+ bytes already/,
    )
    expect(await states(cellar)).toEqual(['own running', 'traveller standby'])
    expect(await states(hub)).toEqual(['traveller running'])
  }, 60_000)

  test('that was begun is told of until its own device has heard it, whatever a third one says [move-4]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar], ['cellar'])
    const id = (await hub.device.agents()).moves.copies.all()[0]?.id ?? ''
    await hub.die()
    await cellar.device.mover.begin('traveller')
    const phase = async () => (await cellar.device.agents()).moves.move(id)?.phase
    expect(await phase()).toBe('seized')
    const peer = stack.use(await Peer.connect(broker.url, []))
    for (const kind of ['let-go', 'dropped'])
      await peer.say(
        'ganglion/site/move/cellar/attic',
        seal(attic.site.identity, 'move', { kind, to: 'cellar', id }),
      )
    // What is answered last was heard last.
    expect(await attic.device.mover.isThere('cellar')).toBe(true)
    expect(await phase()).toBe('seized')
    const back = await opened('hub')
    await until('it gives way', async () => (await states(back))[0] === 'traveller ended')
  })

  test('that another says to have begun, or that never was, ends nothing [move-4]', async () => {
    const [hub, cellar, attic] = await three()
    await copied([hub, cellar], ['cellar'])
    const id = (await hub.device.agents()).moves.copies.all()[0]?.id ?? ''
    const peer = stack.use(await Peer.connect(broker.url, []))
    const word = { kind: 'seized', to: 'hub', id, token: 2 ** 51 }
    const bad = hub.site.link.stats().badMessages
    await peer.say('ganglion/site/move/hub/attic', seal(attic.site.identity, 'move', word))
    await peer.say('ganglion/site/move/hub/cellar', seal(attic.site.identity, 'move', word))
    await until('it is counted', () => hub.site.link.stats().badMessages > bad)
    const old = { kind: 'seized', to: 'hub', id, token: 1 }
    await peer.say(`ganglion/site/move/hub/cellar/${id}`, seal(cellar.site.identity, 'move', old))
    // What is answered last was heard last.
    expect(await cellar.device.mover.isThere('hub')).toBe(true)
    expect(await states(hub)).toEqual(['traveller running'])
  })
})
