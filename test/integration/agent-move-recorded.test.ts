/** What is recorded of an agent goes along with it: on whichever device it ends, its whole run can be run once more. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { parsedContent } from '../../runtime/agent/bundle/bundle.ts'
import { Recordings } from '../../runtime/agent/replay/recordings.ts'
import { replay } from '../../runtime/agent/replay/replay.ts'
import { readRunFile } from '../../runtime/agent/replay/run-file.ts'
import { StoreError } from '../../runtime/agent/store/agent-store.ts'
import { MoveStore } from '../../runtime/agent/store/move-store.ts'
import { readEngineFiles } from '../../runtime/agent/vm/engine-files.ts'
import { silentLog } from '../../runtime/base/log.ts'
import type { Bus } from '../../runtime/link/bus.ts'
import { MovingDevice, type MovingDeviceDeps, stepping } from '../fixtures/agent/moving-device.ts'
import { ScriptedService } from '../fixtures/agent/scripted-service.ts'
import { startAedes } from '../fixtures/broker.ts'
import { JumpingClock } from '../fixtures/jumping-clock.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let sites: SiteDevice[]
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  const broker = stack.use(await startAedes())
  sites = (await openSite(broker.url, ['hub', 'cellar'])).map((site) => stack.use(site))
})
afterEach(() => stack.disposeAsync())

interface Here {
  readonly device: MovingDevice
  readonly service: ScriptedService
  readonly recordings: Recordings
  /** Names of the files. */
  readonly files: () => readonly string[]
  readonly folder: string
}

interface Records {
  readonly records?: boolean
  readonly runBytesMax?: number
}

async function opened(at: 0 | 1, more: Partial<MovingDeviceDeps> & Records = {}): Promise<Here> {
  const { records = true, runBytesMax = 1e6, ...deps } = more
  const { identity, link: bus, stateDir } = sites[at] as SiteDevice
  const service = new ScriptedService(['memory.get', 'on'])
  const directory = join(stateDir, 'agents')
  const folder = join(directory, 'recordings')
  const recordings = new Recordings({ log: silentLog }, { directory: folder, bytesMax: 1e7, runBytesMax })
  const shared = { clock: new JumpingClock(), bus, identity, directory, services: [service] }
  const recorded = records ? { recordings } : {}
  const device = stack.use(await MovingDevice.open({ ...shared, ...recorded, ...deps }))
  const files = () => (existsSync(folder) ? readdirSync(folder) : [])
  return { device, service, recordings, files, folder }
}

/** The link, on which some words are lost. */
function hardOfHearing(at: 0 | 1, deaf: ReadonlySet<string>): Bus {
  return new Proxy((sites[at] as SiteDevice).link, {
    get(target, property) {
      if (property === 'subscribe')
        return (filter: string, taker: Parameters<Bus['subscribe']>[1]) =>
          target.subscribe(filter, (message) => {
            const { body } = JSON.parse(Buffer.from(message.payload).toString())
            return deaf.has(JSON.parse(body).kind) ? undefined : taker(message)
          })
      const value = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const source = (last: string) =>
  stepping(
    'traveller',
    `const met = []
     for await (const seen of ctx.on('light.*')) {
       met.push([seen.n, await ctx.device()])
       if (seen.n === 9) { await ctx.memory.get('${last}'); return met }
     }`,
  )

/** It runs on the hub, is recorded, and has taken two turns. */
async function running(hub: Here): Promise<void> {
  await hub.device.run(source('last'), '[]', true)
  ;(await hub.service.nth(0)).emit({ n: 1 })
  await turns(hub, 2)
}
const turns = (here: Here, count: number) =>
  until(`${count} turns`, async () => (await here.device.agents()).list()[0]?.turns === count)
const states = async ({ device }: Here) =>
  (await device.agents()).list().map(({ name, state }) => `${name} ${state}`)

/** To its end. How many turns it took. */
async function ends(here: Here): Promise<number> {
  const asked = () => here.service.asked.findLast(({ call, signal }) => call.op === 'on' && !signal.aborted)
  await until('it waits', () => asked() !== undefined)
  asked()?.emit({ n: 9 })
  const last = () => here.service.asked.find(({ call }) => call.op === 'memory.get')
  await until('its last question', () => last() !== undefined)
  last()?.answer('x')
  await until('its end', async () => (await states(here))[0] === 'traveller ended')
  const [ended] = (await here.device.agents()).list()
  await here.device[Symbol.asyncDispose]()
  return ended?.turns ?? 0
}

/** All that it did is in the one file here, and comes out again. */
async function isWhole(here: Here, turns: number): Promise<void> {
  const whole = await replayed(here)
  expect(whole).toMatchObject({ turns, differences: [], unanswered: [], over: undefined })
  expect(whole.fault).toBeUndefined()
}

/** What the file of the only run here gives, with the program that it had or another. */
async function replayed({ folder, files }: Here, other?: string) {
  expect(files()).toHaveLength(1)
  const { header, turns, over } = readRunFile(readFileSync(join(folder, files()[0] ?? '')))
  const { program } = parsedContent(header.content)
  const [name = ''] = Object.keys(program.modules)
  const modules = other === undefined ? program.modules : { [name]: other }
  const wasm = await WebAssembly.compile(readEngineFiles().wasm)
  const options = { wasm, guest: header.guest, program: { ...program, modules } }
  return { ...(await replay({ ...header, turns }, options)), over, run: turns }
}

describe('a recorded agent that moves', () => {
  test('is recorded on where it comes to: its whole run is run once more there, also with a changed program [recorded-5]', async () => {
    const [hub, cellar] = [await opened(0), await opened(1)]
    await running(hub)
    await hub.device.mover.move('traveller', 'cellar')
    expect(hub.files()).toEqual([])
    await isWhole(cellar, await ends(cellar))
    const { run } = await replayed(cellar)
    expect(run.flatMap(({ inputs }) => inputs.map(({ kind }) => kind))).toContain('moved')
    const changed = await replayed(cellar, source('first').replace("'light.*'", "'lamp.*'"))
    expect(changed.differences[0]).toMatchObject({ turn: 1 })
  })

  test('and comes back is recorded whole where it ends, and nowhere else [recorded-5]', async () => {
    const [hub, cellar] = [await opened(0), await opened(1)]
    await running(hub)
    await hub.device.mover.move('traveller', 'cellar')
    await turns(cellar, 3)
    ;(await cellar.service.nth(0)).emit({ n: 2 })
    await turns(cellar, 4)
    await cellar.device.mover.move('traveller', 'hub')
    await isWhole(hub, await ends(hub))
    expect(cellar.files()).toEqual([])
  })

  test('and is refused is recorded on where it was, and nothing of it is left on the other device [move-3]', async () => {
    const [hub, cellar] = [await opened(0), await opened(1)]
    await running(hub)
    hub.device.luggage.set('traveller', 'spoilt')
    await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow('is spoilt')
    await isWhole(hub, await ends(hub))
    expect(cellar.files()).toEqual([])
  })

  test('to a device that has no room for it is recorded on where it was, and nothing of it is left on the other device [move-3]', async () => {
    const [hub, cellar] = [await opened(0), await opened(1)]
    await running(hub)
    const arriving = vi.spyOn(MoveStore.prototype, 'arriving')
    arriving.mockImplementationOnce(() => {
      expect(cellar.files()).toEqual(['traveller.0.jsonl'])
      throw new StoreError('full', 'the disk takes no more', { retryable: true })
    })
    await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow('the disk takes no more')
    arriving.mockRestore()
    expect(cellar.files()).toEqual([])
    await isWhole(hub, await ends(hub))
  })

  test('leaves no recording where it was when the power is cut there as it goes', async () => {
    const [hub] = [await opened(0), await opened(1)]
    await running(hub)
    const left: (readonly string[])[] = []
    const { over } = MoveStore.prototype
    const going = vi.spyOn(MoveStore.prototype, 'over').mockImplementation(function (this: MoveStore, ...of) {
      left.push(hub.files())
      over.apply(this, of)
    })
    await hub.device.mover.move('traveller', 'cellar')
    going.mockRestore()
    expect(left).toEqual([[]])
  })

  test('to a device that loses it is recorded on under its next token where it goes on', async () => {
    const deaf = new Set(['begin'])
    const [hub, cellar] = [await opened(0), await opened(1, { bus: hardOfHearing(1, deaf) })]
    await running(hub)
    hub.device.mover.move('traveller', 'cellar').catch(() => {})
    await until('it was given away', async () => (await states(hub))[0] === 'traveller moved')
    expect(cellar.files()).toEqual(['traveller.0.jsonl'])
    await (await cellar.device.agents()).remove('traveller')
    expect(cellar.files()).toEqual([])
    deaf.clear()
    await until('it goes on', async () => (await states(hub))[0] === 'traveller running')
    await isWhole(hub, await ends(hub))
  })

  test('to a device that records nothing, as one of an earlier version, leaves what was recorded where it is', async () => {
    const [hub, cellar] = [await opened(0), await opened(1, { records: false })]
    await running(hub)
    await hub.device.mover.move('traveller', 'cellar')
    expect(await states(cellar)).toEqual(['traveller running'])
    await ends(cellar)
    await isWhole(hub, 2)
    expect(cellar.files()).toEqual([])
  })

  test('with more than the other device takes leaves it where it is, and the log of the agent says so [recorded-3]', async () => {
    const [hub, cellar] = [await opened(0), await opened(1, { runBytesMax: 1_000 })]
    await running(hub)
    await hub.device.mover.move('traveller', 'cellar')
    const lines = (await cellar.device.agents()).log('traveller', 9).map(({ text }) => text)
    expect(lines).toEqual([expect.stringContaining('it came here without what was recorded of it')])
    await ends(cellar)
    await isWhole(hub, 2)
    expect(cellar.files()).toEqual([])
  })
})

describe('an agent on whose way somebody is forgotten', () => {
  test.each([
    ['where it comes from', 'kept'],
    ['where it comes to', 'chunk'],
  ] as const)(
    '%s stays where it was, and nothing of what was sent is left [move-16]',
    async (where, lost) => {
      const clock = new JumpingClock()
      const deaf = new Set<string>([lost])
      const hub = await opened(0, { clock, bus: hardOfHearing(0, deaf) })
      const cellar = await opened(1, { bus: hardOfHearing(1, deaf) })
      await running(hub)
      let failed: unknown
      hub.device.mover.move('traveller', 'cellar').catch((error) => {
        failed = error
      })
      if (lost === 'kept')
        await until('it is kept', async () => (await states(cellar))[0] === 'traveller arriving')
      else await until('it is on its way', async () => (await states(hub))[0] === 'traveller moving')
      const at = where === 'where it comes from' ? hub : cellar
      const { moves } = await at.device.agents()
      await moves.copies.forget('Ada', () => at.recordings.forgetAll())
      deaf.clear()
      await until('it stays', () => {
        clock.advance(500)
        return failed !== undefined
      })
      expect(String(failed)).toContain('somebody was forgotten while it was on its way: try again')
      expect(await states(hub)).toEqual(['traveller running'])
      await until('the other has nothing', async () => (await states(cellar)).length === 0)
      expect(cellar.files()).toEqual([])
      expect(await hub.device.mover.move('traveller', 'cellar')).toMatchObject({ pending: false })
    },
  )
})

test('an agent that is to move while somebody is being forgotten goes on where it is [move-16] [move-3]', async () => {
  const hub = await opened(0)
  await opened(1)
  await running(hub)
  const own = Promise.withResolvers<number>()
  const forgetting = (await hub.device.agents()).moves.copies.forget('Ada', () => own.promise)
  await expect(hub.device.mover.move('traveller', 'cellar')).rejects.toThrow(
    'somebody is being forgotten just now: try again in a moment',
  )
  expect(await hub.service.nth(1)).toMatchObject({ resumed: true })
  own.resolve(0)
  await forgetting
  expect(await hub.device.mover.move('traveller', 'cellar')).toMatchObject({ pending: false })
})

describe('a recorded agent of which another device has a copy', () => {
  async function copied(): Promise<readonly [Here, Here]> {
    const hub = await opened(0, { copies: { to: ['cellar'] } })
    const cellar = await opened(1, { accepts: { keepsFor: ['hub'] } })
    await running(hub)
    await hub.device.mover.copy('traveller', 'cellar')
    expect(cellar.files()).toEqual(['traveller.0.jsonl'])
    return [hub, cellar]
  }

  test('is recorded on where that is begun, from the copy on: what it did after that is of another time [recorded-5]', async () => {
    const [hub, cellar] = await copied()
    ;(await hub.service.nth(0)).emit({ n: 2 })
    await turns(hub, 3)
    await hub.device[Symbol.asyncDispose]()
    await (await cellar.device.agents()).resume('traveller', { here: true })
    await isWhole(cellar, await ends(cellar))
    const { run } = await replayed(hub)
    expect(run).toHaveLength(3)
  })

  test('is not recorded on there once somebody was forgotten, and nothing that was recorded is left with the copy', async () => {
    const [hub, cellar] = await copied()
    expect(await cellar.recordings.forgetAll()).toBe(1)
    expect(cellar.files()).toEqual([])
    await hub.recordings.forgetAll()
    await hub.device.mover.copy('traveller', 'cellar')
    expect(cellar.files()).toEqual([])
    expect(await states(cellar)).toEqual(['traveller standby'])
  })

  test('leaves what came along with it there over a restart; of an agent that never was kept nothing is left', async () => {
    const [, cellar] = await copied()
    await cellar.device[Symbol.asyncDispose]()
    // The power was cut before they were arriving, or after they were dropped.
    for (const name of ['other', 'traveller.1']) writeFileSync(join(cellar.folder, `${name}.0.jsonl`), 'Ada')
    const again = await opened(1, { accepts: { keepsFor: ['hub'] } })
    expect(await states(again)).toEqual(['traveller standby'])
    expect(again.files()).toEqual(['traveller.0.jsonl'])
  })

  test('leaves nothing there when it is dropped', async () => {
    const [, cellar] = await copied()
    await (await cellar.device.agents()).remove('traveller')
    expect(cellar.files()).toEqual([])
  })
})
