/** Boards of five devices on a virtual clock: messages lost, doubled and overtaken, links cut, devices restarted. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Board, type BoardError, type Seen } from '../../../../runtime/agent/board/board.ts'
import { boardService } from '../../../../runtime/agent/board/board-service.ts'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { seal } from '../../../../runtime/agent/together/envelope.ts'
import { type Clock, sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { Identity } from '../../../../runtime/base/identity.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { boardLimits } from '../../../../runtime/wire/board.ts'
import { perform } from '../services/performed.ts'
import { SimulatedBroker, SimulatedBus, SimulatedDisk, type Weather } from './simulated-broker.ts'

const names = ['attic', 'bath', 'cellar', 'den', 'east']
const forever = new AbortController().signal
const dayMs = 24 * 3_600_000
const calm: Weather = { loss: 0, twice: 0, delayMsMax: 10 }
const storm: Weather = { loss: 0.1, twice: 0.2, delayMsMax: 60 }

let directory: string
let identities: Map<string, Identity>
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'boards-'))
  const all = names.map((name) => Identity.open(name, join(directory, name)))
  for (const one of all) for (const other of all) one.trust(other.device, other.publicKey)
  identities = new Map(all.map((identity) => [identity.device, identity]))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** A device that can be cut off, stopped and started. */
class Device {
  readonly #broker: SimulatedBroker
  readonly #signer: Identity
  readonly #clock: Clock
  readonly #disk = new SimulatedDisk()
  bus: SimulatedBus
  board: Board
  stop = new AbortController()

  /** `aheadMs`: how wrong its clock is. */
  constructor(broker: SimulatedBroker, name: string, aheadMs: () => number = () => 0) {
    this.#broker = broker
    this.#signer = identities.get(name) as Identity
    this.#clock = ahead(broker.clock, aheadMs)
    this.bus = new SimulatedBus(broker)
    this.board = this.#open()
  }

  get name(): string {
    return this.#signer.device
  }

  async restart(): Promise<void> {
    this.stop.abort(new Error('the power is gone'))
    this.bus.leave()
    await this.board[Symbol.asyncDispose]()
    this.stop = new AbortController()
    this.bus = new SimulatedBus(this.#broker)
    this.board = this.#open()
  }

  #open(): Board {
    const deps = { clock: this.#clock, log: silentLog, bus: this.bus, signer: this.#signer }
    return new Board({ ...deps, onPeer: () => () => {} }, this.#disk, this.#disk.kept())
  }
}

function ahead(clock: VirtualClock, ms: () => number): Clock {
  return {
    nowMs: () => clock.nowMs() + ms(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, fn) => clock.after(delayMs, fn),
    random: () => clock.random(),
    newId: () => clock.newId(),
  }
}

interface Success {
  readonly from: number
  readonly version: number
  readonly value: number
  readonly startMs: number
  readonly endMs: number
}

/** Each device counts up by comparing and setting, while links are cut and devices restart. */
async function countUp(clock: VirtualClock, devices: readonly Device[], times: number) {
  const successes: Success[] = []
  const codes: string[] = []
  const client = async (device: Device) => {
    for (let n = 0; n < times; n += 1) {
      await sleep(clock, clock.random() * 1_500)
      const known = device.board.get('count')
      const value = ((known?.value as number | undefined) ?? 0) + 1
      const startMs = clock.monotonicMs()
      const from = known?.version ?? 0
      await device.board.compareAndSet('count', from, value, {}, device.stop.signal).then(
        ({ version }) => successes.push({ from, version, value, startMs, endMs: clock.monotonicMs() }),
        (error: BoardError) => codes.push(error.code),
      )
    }
  }
  await Promise.all(devices.map(client))
  return { successes, codes }
}

describe('comparing and setting', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'is linearizable through loss, doubling, overtaking, cuts and restarts, seed %i [register-1] [register-2] [register-3]',
    async (seed) => {
      const clock = new VirtualClock({ seed })
      const broker = new SimulatedBroker(clock, storm)
      const devices = names.map((name) => new Device(broker, name))
      await clock.run(async () => {
        let over = false
        const trouble = async () => {
          while (!over) {
            await sleep(clock, 500 + clock.random() * 1_000)
            const one = devices[Math.floor(clock.random() * devices.length)] as Device
            const what = clock.random()
            if (what < 0.2) await one.restart()
            else one.bus.connect(what > 0.5)
          }
          for (const { bus } of devices) bus.connect(true)
        }
        const troubled = trouble()
        const { successes } = await countUp(clock, devices, 20)
        over = true
        await troubled
        expect(successes.length).toBeGreaterThan(10)
        // Of all that compared with one version one set it.
        expect(new Set(successes.map(({ from }) => from)).size).toBe(successes.length)
        // Nothing was lost: each counted on from what another had set.
        expect(new Set(successes.map(({ value }) => value)).size).toBe(successes.length)
        const inOrder = successes.toSorted((a, b) => a.version - b.version)
        expect(inOrder.map(({ value }) => value)).toEqual(
          inOrder.map(({ value }) => value).toSorted((a, b) => a - b),
        )
        // Who began when another had ended came after it.
        for (const one of successes)
          for (const other of successes)
            if (one.endMs < other.startMs) expect(one.version).toBeLessThan(other.version)
        await sleep(clock, 20 * 60_000)
        const last = Math.max(...successes.map(({ value }) => value))
        for (const { board } of devices) {
          expect(board.get('count')).toEqual(devices[0]?.board.get('count'))
          expect(board.get('count')?.value as number).toBeGreaterThanOrEqual(last)
        }
      })
    },
    60_000,
  )

  test('the side without a majority is told that it has none, the other goes on, and both show the same afterwards [compare-1]', async () => {
    const clock = new VirtualClock({ seed: 7 })
    const broker = new SimulatedBroker(clock, calm)
    const devices = names.map((name) => new Device(broker, name))
    const [attic, bath, cellar] = devices as [Device, Device, Device]
    await clock.run(async () => {
      await attic.board.set('turn', 'first')
      await sleep(clock, 1_000)
      const { version = 0 } = bath.board.get('turn') ?? {}
      attic.bus.connect(false)
      bath.bus.connect(false)
      await expect(attic.board.compareAndSet('turn', version, 'attic', {}, forever)).rejects.toMatchObject({
        code: 'unavailable',
      })
      await cellar.board.compareAndSet('turn', version, 'cellar', {}, forever)
      attic.bus.connect(true)
      bath.bus.connect(true)
      await expect(bath.board.compareAndSet('turn', version, 'bath', {}, forever)).rejects.toMatchObject({
        code: 'conflict',
      })
      await sleep(clock, 10_000)
      for (const { board } of devices) expect(board.get('turn')?.value).toBe('cellar')
    })
  })

  test('what was proposed when its device lost power is set by the others, or never [register-2]', async () => {
    const clock = new VirtualClock({ seed: 8 })
    const broker = new SimulatedBroker(clock, calm)
    const devices = names.map((name) => new Device(broker, name))
    const [attic, bath] = devices as [Device, Device]
    await clock.run(async () => {
      const asked = attic.board.compareAndSet('turn', 0, 'attic', {}, attic.stop.signal).catch(() => {})
      // The others have accepted it, and their answers are on their way.
      await sleep(clock, 65)
      attic.stop.abort(new Error('the power is gone'))
      attic.bus.connect(false)
      await asked
      await sleep(clock, 5 * 60_000)
      const shown = bath.board.get('turn')
      for (const { board } of devices.slice(1)) expect(board.get('turn')).toEqual(shown)
      const { version } = await bath.board.compareAndSet('turn', shown?.version ?? 0, 'bath', {}, forever)
      attic.bus.connect(true)
      await sleep(clock, 60_000)
      for (const { board } of devices) expect(board.get('turn')).toMatchObject({ version, value: 'bath' })
    })
  })

  test('what may have been set although nobody said so is uncertain [compare-2]', async () => {
    const clock = new VirtualClock({ seed: 10 })
    const broker = new SimulatedBroker(clock, calm)
    const [attic] = names.map((name) => new Device(broker, name)) as [Device]
    await clock.run(async () => {
      const asked = attic.board.compareAndSet('turn', 0, 'attic', {}, forever)
      // It has proposed, and is cut off before an answer comes.
      const [, ...others] = broker.buses
      const heard = Promise.withResolvers<void>()
      others[0]?.onWord((word) => {
        if (word.includes('propose')) heard.resolve()
      })
      await heard.promise
      attic.bus.connect(false)
      await expect(asked).rejects.toMatchObject({ code: 'uncertain' })
    })
  })

  test('words that are forged, of another key, of another’s round or too large change nothing [compare-3]', async () => {
    const clock = new VirtualClock({ seed: 12 })
    const broker = new SimulatedBroker(clock, calm)
    const [attic, bath] = names.map((name) => new Device(broker, name)) as [Device, Device]
    const signer = identities.get('cellar') as Identity
    const stranger = Identity.open('cellar', join(directory, 'stranger'))
    const ballot = { n: 5, device: 'cellar', id: 'x' }
    const prepare = { kind: 'prepare', key: 'turn', ballot }
    const bad = [
      seal(stranger, 'board-word', prepare),
      seal(signer, 'board', prepare),
      seal(signer, 'board-word', { ...prepare, key: 'other' }),
      seal(signer, 'board-word', { ...prepare, ballot: { ...ballot, device: 'bath' } }),
      seal(signer, 'board-word', { ...prepare, kind: 'propose', envelope: 'AAAA' }),
      seal(identities.get('den') as Identity, 'board-word', prepare),
      'x'.repeat(boardLimits.wordBytesMax + 1),
    ]
    for (const word of bad) attic.bus.deliver('ganglion/site/board/turn/cellar', Buffer.from(word))
    expect(attic.board.refused).toBe(bad.length)
    // A round with a number that nobody could follow is refused, and an honest one goes on.
    const far = { ...prepare, ballot: { ...ballot, n: Number.MAX_SAFE_INTEGER } }
    for (const { bus } of [attic, bath])
      bus.deliver('ganglion/site/board/turn/cellar', Buffer.from(seal(signer, 'board-word', far)))
    await clock.run(async () => {
      expect(await attic.board.compareAndSet('turn', 0, 1, {}, forever)).toMatchObject({ value: 1 })
    })
  })

  test('one device that compares without end does not fill the disk, the table or the time of another [compare-4]', async () => {
    const clock = new VirtualClock({ seed: 13 })
    const broker = new SimulatedBroker(clock, calm)
    const [attic, bath] = names.slice(0, 3).map((name) => new Device(broker, name)) as [Device, Device]
    const eve = identities.get('east') as Identity
    const evesBus = new SimulatedBus(broker)
    let promised = 0
    evesBus.onWord((word) => {
      if (word.includes('promise') && word.includes('"from":"attic"')) promised += 1
    })
    const prepare = (key: string, n: number) => {
      const word = { kind: 'prepare', key, ballot: { n, device: 'east', id: `${n}` } }
      attic.bus.deliver(`ganglion/site/board/${key}/east`, Buffer.from(seal(eve, 'board-word', word)))
    }
    await clock.run(async () => {
      for (let n = 1; n <= 300; n += 1) prepare(`junk-${n}`, n)
      await sleep(clock, 100)
      expect(promised).toBe(boardLimits.keysOfAuthorMax)
      // And again and again, each time with a higher number.
      for (let n = 1_000; n < 2_000; n += 1) prepare('junk-1', n)
      await sleep(clock, 100)
      expect(promised).toBeLessThan(1_050)
      expect(attic.board.refused).toBeGreaterThan(200)
      expect(await bath.board.compareAndSet('turn', 0, 1, {}, forever)).toMatchObject({ value: 1 })
      await sleep(clock, 5_000)
      expect(attic.board.get('turn')).toMatchObject({ value: 1 })
    })
  })

  test('of two that were written at once only who saw the one that stands can set [board-12]', async () => {
    const clock = new VirtualClock({ seed: 9 })
    const broker = new SimulatedBroker(clock, calm)
    const [attic, bath] = [new Device(broker, 'attic'), new Device(broker, 'bath')]
    new Device(broker, 'cellar')
    await clock.run(async () => {
      const mine = await attic.board.set('mode', 'attic')
      const others = await bath.board.set('mode', 'bath')
      expect(mine.version).not.toBe(others.version)
      await sleep(clock, 1_000)
      await expect(attic.board.compareAndSet('mode', mine.version, 'x', {}, forever)).rejects.toMatchObject({
        code: 'conflict',
      })
      const { version = 0 } = attic.board.get('mode') ?? {}
      expect(await attic.board.compareAndSet('mode', version, 'y', {}, forever)).toMatchObject({ value: 'y' })
    })
  })
})

describe('writing', () => {
  test.each([11, 12, 13, 14, 15, 16])(
    'converges after cuts, restarts and a broker that forgot everything, seed %i [board-1] [board-7] [board-9]',
    async (seed) => {
      const clock = new VirtualClock({ seed })
      const broker = new SimulatedBroker(clock, storm)
      const devices = names.map((name) => new Device(broker, name))
      const keys = ['heat.pump', 'who.home', 'mode']
      await clock.run(async () => {
        for (let step = 0; step < 150; step += 1) {
          const one = devices[Math.floor(clock.random() * devices.length)] as Device
          const key = keys[Math.floor(clock.random() * keys.length)] as string
          const what = clock.random()
          if (what < 0.1) await one.restart()
          else if (what < 0.3) one.bus.connect(what < 0.2)
          else if (what < 0.32) broker.retained = new Map()
          else {
            const value = what < 0.45 ? undefined : step
            const written = await one.board.set(key, value, { ttlMs: 3_600_000 })
            await one.restart()
            // It resolved, so it is there after a power cut, or something that stands over it.
            const after = one.board.get(key)
            if (value !== undefined) expect(after?.version).toBeGreaterThanOrEqual(written.version)
          }
          await sleep(clock, clock.random() * 300)
        }
        for (const { bus } of devices) bus.connect(true)
        await sleep(clock, 20 * 60_000)
        for (const key of keys)
          for (const { board } of devices) expect(board.get(key)).toEqual(devices[0]?.board.get(key))
      })
    },
    60_000,
  )

  test('by a clock that is a day ahead waits until it is right, and poisons nothing [board-4]', async () => {
    const clock = new VirtualClock({ seed: 21 })
    const broker = new SimulatedBroker(clock, calm)
    let wrongMs = dayMs
    const attic = new Device(broker, 'attic')
    const bath = new Device(broker, 'bath', () => wrongMs)
    await clock.run(async () => {
      await bath.board.set('mode', 'early')
      await attic.board.set('mode', 'right')
      await attic.board.set('mode', 'right again')
      await sleep(clock, 5_000)
      expect(attic.board.get('mode')?.value).toBe('right again')
      expect(attic.board.refused).toBeGreaterThan(0)
      wrongMs = 0
      await sleep(clock, 20 * 60_000)
      expect(attic.board.get('mode')).toEqual(bath.board.get('mode'))
      await attic.board.set('other', 1)
      await sleep(clock, 5_000)
      expect(bath.board.get('other')?.value).toBe(1)
    })
  })

  test('is heard by a device whose clock was a day behind when that is right again [board-4]', async () => {
    const clock = new VirtualClock({ seed: 22 })
    const broker = new SimulatedBroker(clock, calm)
    let wrongMs = -dayMs
    const attic = new Device(broker, 'attic')
    const bath = new Device(broker, 'bath', () => wrongMs)
    await clock.run(async () => {
      await attic.board.set('mode', 'now')
      await sleep(clock, 5_000)
      expect(bath.board.get('mode')).toBeUndefined()
      wrongMs = 0
      await sleep(clock, 5 * 60_000)
      expect(bath.board.get('mode')?.value).toBe('now')
    })
  })

  test('a version as high as a device that lies can make it is followed by others [board-5]', async () => {
    const clock = new VirtualClock({ seed: 23 })
    const broker = new SimulatedBroker(clock, calm)
    const [attic, cellar] = [new Device(broker, 'attic'), new Device(broker, 'cellar')]
    await clock.run(async () => {
      const tsMs = clock.nowMs() + boardLimits.skewMsMax
      const version = Math.floor(tsMs / boardLimits.msPerVersion)
      const lie = { key: 'mode', version, value: 'lie', tsMs, ttlMs: dayMs }
      const liar = identities.get('bath') as Identity
      const say = (body: object) =>
        attic.bus.deliver('ganglion/site/board/mode', Buffer.from(seal(liar, 'board', body)))
      say({ ...lie, version: version + 1 })
      expect(attic.board.refused).toBe(1)
      say(lie)
      expect(attic.board.get('mode')?.value).toBe('lie')
      await sleep(clock, 1_000)
      await attic.board.set('mode', 'attic')
      await sleep(clock, 10_000)
      for (const { board } of [attic, cellar]) expect(board.get('mode')?.value).toBe('attic')
    })
  })
})

describe('as an agent calls it', () => {
  const one = () => {
    const clock = new VirtualClock({ seed: 31 })
    const device = new Device(new SimulatedBroker(clock, calm), 'attic')
    const services = () => [
      boardService({ board: device.board, after: (delayMs, work) => clock.after(delayMs, work) }),
    ]
    const ask = (op: 'board.set' | 'board.get' | 'board.delete', args: Record<string, Json>, more = {}) =>
      perform(services(), op, { args, askedMs: 1_000, ...more }).outcome
    return { clock, device, services, ask }
  }

  test('a writing that a crash cut off is looked up, not written twice [board-10]', async () => {
    const { device, ask } = one()
    const first = await ask('board.set', { key: 'mode', value: 'eco' }, { id: 5 })
    const then = await ask('board.set', { key: 'mode', value: 'warm' }, { id: 6 })
    await device.restart()
    // The fifth is performed again: it was written, and the sixth stands.
    expect(await ask('board.set', { key: 'mode', value: 'eco' }, { id: 5, resumed: true })).toEqual({
      ...first,
      privacy: undefined,
    })
    expect(device.board.get('mode')?.value).toBe('warm')
    expect(await ask('board.get', { key: 'mode' })).toMatchObject({
      ok: true,
      value: (then as { value: Json }).value,
    })
    expect(await ask('board.set', { key: 'mode', value: 'new' }, { id: 7, resumed: true })).toMatchObject({
      ok: true,
      value: { value: 'new' },
    })
  })

  test('what is no key, no value or too much is refused in one line', async () => {
    const { ask, clock } = one()
    expect(await ask('board.set', { key: 'a b', value: 1 })).toMatchObject({ error: { code: 'bad-request' } })
    expect(await ask('board.set', { key: 'a' })).toMatchObject({ error: { code: 'bad-request' } })
    expect(await ask('board.set', { key: 'a', value: 'x'.repeat(9_000) })).toMatchObject({
      error: { code: 'limit' },
    })
    expect(await clock.run(() => ask('board.set', { key: 'a', value: 1, version: 9 }))).toMatchObject({
      error: { code: 'unavailable' },
    })
  })

  test('watching tells what is there, what changes, and what is gone [board-11]', async () => {
    const { clock, services, ask } = one()
    await ask('board.set', { key: 'heat.attic', value: 1 })
    const watching = perform(services(), 'board.watch', { args: { pattern: 'heat.*' }, askedMs: 1_000 })
    await ask('board.set', { key: 'heat.bath', value: 2, ttlMs: 5_000 }, { id: 2 })
    await ask('board.set', { key: 'light.bath', value: 3 }, { id: 3 })
    clock.advance(6_000)
    await ask('board.delete', { key: 'heat.attic' }, { id: 4 })
    const seen = watching.items as unknown as Seen[]
    expect(seen.map(({ key, value, gone }) => [key, value, gone])).toEqual([
      ['heat.attic', 1, undefined],
      ['heat.bath', 2, undefined],
      ['heat.bath', null, true],
      ['heat.attic', null, true],
    ])
    watching.cancel()
    expect(await watching.outcome).toMatchObject({ error: { code: 'cancelled' } })
    await ask('board.set', { key: 'heat.attic', value: 9 }, { id: 5 })
    expect(watching.items).toHaveLength(4)
  })

  test('who is too slow for all of it is told all again', async () => {
    const { clock, device, services, ask } = one()
    await ask('board.set', { key: 'heat.attic', value: 1 })
    const items: Seen[] = []
    let full = true
    const call = { id: 9, op: 'board.watch', args: { pattern: 'heat.*' } } as const
    const emit = (item: Json, latest?: string) => {
      expect(latest).toBe('heat.attic')
      if (!full) items.push(item as unknown as Seen)
      return !full
    }
    const caller = { agent: 'night-watch', token: 1 }
    void services()[0]?.perform({ caller, call, resumed: false, askedMs: 0, emit }, device.stop.signal)
    await ask('board.set', { key: 'heat.attic', value: 2 }, { id: 2 })
    full = false
    clock.advance(1_500)
    expect(items).toMatchObject([{ key: 'heat.attic', value: 2 }])
    device.stop.abort(new Error('enough'))
  })
})
