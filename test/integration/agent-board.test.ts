/** The blackboard of a site over a real broker, with links that are cut and devices that restart. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Board, type BoardError, type Seen } from '../../runtime/agent/board/board.ts'
import { seal } from '../../runtime/agent/together/envelope.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { boardLimits } from '../../runtime/wire/board.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { openSite, type SiteDevice, until } from '../fixtures/site.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

const forever = new AbortController().signal
const pathOf = ({ stateDir }: SiteDevice) => join(stateDir, 'board.db')

async function site(...names: string[]): Promise<SiteDevice[]> {
  const devices = await openSite(broker.url, names)
  for (const device of devices) stack.use(device)
  return devices
}

async function boardOf(device: SiteDevice): Promise<Board> {
  const { link, identity, peers } = device
  const deps = { clock: realClock, log: silentLog, bus: link, signer: identity }
  const onPeer = (listener: () => void) => peers.onNew(listener)
  return stack.use(await Board.open({ ...deps, onPeer }, { path: pathOf(device) }, forever))
}

async function boards(...names: string[]) {
  const devices = await site(...names)
  const opened = await Promise.all(devices.map(boardOf))
  return { devices, boards: opened } as { devices: SiteDevice[]; boards: Board[] }
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'set',
    (error: BoardError) => error.code,
  )

describe('facts', () => {
  test('that one device writes are read on the others, watched, deleted, and run out [board-11]', async () => {
    const { boards: all } = await boards('attic', 'bath')
    const [attic, bath] = all as [Board, Board]
    const seen: Seen[] = []
    await attic.set('heat.attic', { demand: 0.4 })
    await until('the bath has it', () => bath.get('heat.attic') !== undefined)
    bath.watch('heat.*', (fact) => seen.push(fact))
    expect(seen).toMatchObject([{ key: 'heat.attic', value: { demand: 0.4 }, author: 'attic' }])
    await attic.set('heat.attic', { demand: 0.9 })
    await attic.set('light.attic', 'on')
    await until('the change is seen', () => seen.length === 2)
    expect(seen[1]).toMatchObject({ value: { demand: 0.9 } })
    expect((seen[1]?.version ?? 0) > (seen[0]?.version ?? 0)).toBe(true)
    await attic.set('heat.attic', undefined)
    await until('it is gone', () => seen.length === 3)
    expect(seen[2]).toMatchObject({ key: 'heat.attic', value: null, gone: true })
    expect(bath.get('heat.attic')).toBeUndefined()
    await attic.set('heat.short', 1, { ttlMs: 150 })
    await until('it came and went', () => seen.at(-1)?.key === 'heat.short' && seen.at(-1)?.gone === true)
    expect(bath.get('heat.short')).toBeUndefined()
  }, 60_000)

  test('that ran out are cleared from the broker by their author [board-8]', async () => {
    const { boards: all } = await boards('attic')
    const [attic] = all as [Board]
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/site/board/short']))
    await attic.set('short', 1, { ttlMs: 300 })
    await peer.hear('the fact', ({ payload }) => payload.byteLength > 0)
    await peer.hear('that it is cleared', ({ payload }) => payload.byteLength === 0)
    expect(attic.get('short')).toBeUndefined()
  }, 60_000)

  test('that were written on both sides of a cut are the same everywhere when it is mended [board-1] [board-7]', async () => {
    const { boards: all } = await boards('attic', 'bath', 'cellar')
    const [attic, bath, cellar] = all as [Board, Board, Board]
    await attic.set('mode', 'eco')
    await until('all have it', () => all.every((board) => board.get('mode')?.value === 'eco'))
    const { port } = broker
    await broker.stop()
    // A local writing works without a broker.
    await attic.set('mode', 'attic')
    await bath.set('mode', 'bath')
    await bath.set('mode', 'bath again')
    await cellar.set('who', 'cellar')
    broker = stack.use(await startAedes(port))
    await until('they agree', () =>
      all.every((board) => board.get('mode')?.value === 'bath again' && board.get('who')?.value === 'cellar'),
    )
  }, 60_000)

  test('are told to a broker that lost them, also where their author is gone [board-7]', async () => {
    const { devices, boards: all } = await boards('attic', 'bath')
    const [attic, bath] = all as [Board, Board]
    await attic.set('of.attic', 1)
    await bath.set('of.bath', 2)
    await until('both have both', () => all.every((board) => board.page(undefined).facts.length === 2))
    await bath[Symbol.asyncDispose]()
    await devices[1]?.[Symbol.asyncDispose]()
    const { port } = broker
    await broker.stop()
    broker = stack.use(await startAedes(port))
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/site/board/+']))
    await peer.hear('the own one', ({ topic }) => topic.endsWith('of.attic'), 30_000)
    await peer.hear('that of the one who is gone', ({ topic }) => topic.endsWith('of.bath'), 30_000)
  }, 60_000)

  test('an older one that somebody says to the broker gives way to the one that stands [board-2] [board-7]', async () => {
    const { boards: all } = await boards('attic', 'bath')
    const [attic] = all as [Board, Board]
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/site/board/mode']))
    await attic.set('mode', 'old')
    const old = await peer.hear('the old one', ({ payload }) => payload.toString().includes('old'))
    await attic.set('mode', 'fresh')
    await peer.hear('the new one', ({ payload }) => payload.toString().includes('fresh'))
    const before = peer.heard.length
    await peer.say('ganglion/site/board/mode', old.payload, { retain: true })
    await peer.until('the new one is said again', () =>
      peer.heard.slice(before).some(({ payload }) => payload.toString().includes('fresh')),
    )
    expect(attic.get('mode')?.value).toBe('fresh')
    await peer.say('ganglion/site/board/mode', '', { retain: true })
    await peer.until(
      'cleared by a stranger, it is said again',
      () => peer.heard.at(-1)?.payload.toString().includes('fresh') === true,
    )
  }, 60_000)

  test('survive a restart, with who wrote them and by which call [board-9] [board-10]', async () => {
    const { devices, boards: all } = await boards('attic', 'bath')
    const [attic] = all as [Board, Board]
    const written = await attic.set('mode', 'eco', { by: 'comfort 7 1000' })
    await attic.set('gone', 1)
    await attic.set('gone', undefined)
    await attic[Symbol.asyncDispose]()
    const again = await boardOf(devices[0] as SiteDevice)
    expect(again.get('mode')).toEqual(written)
    expect(again.get('gone')).toBeUndefined()
    expect(again.writtenBy('mode', 'comfort 7 1000')).toEqual(written)
    expect(again.writtenBy('mode', 'comfort 8 1000')).toBeUndefined()
  }, 60_000)

  test('that are forged, malformed, oversized, of a stranger, of another key or of a wrong clock change nothing, and are counted [board-4] [board-6]', async () => {
    const { devices, boards: all } = await boards('attic', 'bath')
    const [attic] = all as [Board, Board]
    const [, bath] = devices as [SiteDevice, SiteDevice]
    const peer = stack.use(await Peer.connect(broker.url, []))
    const stranger = Identity.open('bath', join(bath.stateDir, 'stranger'))
    const nobody = Identity.open('nobody', join(bath.stateDir, 'nobody'))
    const nowMs = Date.now()
    const fact = { key: 'k', version: 1, value: 'bad', tsMs: nowMs, ttlMs: 60_000 }
    const bad = [
      seal(stranger, 'board', fact),
      seal(nobody, 'board', fact),
      seal(bath.identity, 'decide', fact),
      seal(bath.identity, 'board', { ...fact, key: 'other' }),
      seal(bath.identity, 'board', { ...fact, version: 0 }),
      seal(bath.identity, 'board', { ...fact, version: nowMs }),
      seal(bath.identity, 'board', { ...fact, ttlMs: boardLimits.ttlMsMax + 1 }),
      seal(bath.identity, 'board', { ...fact, tsMs: nowMs + 24 * 3_600_000 }),
      seal(bath.identity, 'board', { ...fact, value: 'x'.repeat(boardLimits.factBytesMax) }),
      'nonsense',
    ]
    for (const [at, payload] of bad.entries()) {
      await peer.say('ganglion/site/board/k', payload)
      await until(`the ${at + 1}. is counted`, () => attic.refused > at)
    }
    expect(attic.get('k')).toBeUndefined()
    await peer.say('ganglion/site/board/k', seal(bath.identity, 'board', { ...fact, value: 'good' }))
    await until('a good one is taken', () => attic.get('k')?.value === 'good')
  }, 60_000)

  test('too large or too many are refused where they are written', async () => {
    const { boards: all } = await boards('attic')
    const [attic] = all as [Board]
    expect(await codeOf(attic.set('k', 'x'.repeat(boardLimits.valueBytesMax)))).toBe('limit')
    expect(await codeOf(attic.set('a key', 1))).toBe('bad-request')
    await Promise.all(Array.from({ length: boardLimits.keysOfAuthorMax }, (_, n) => attic.set(`k${n}`, n)))
    expect(await codeOf(attic.set('more', 1))).toBe('limit')
    expect(attic.page('k*', 'k99').facts.length).toBeLessThan(3)
    expect(attic.page(undefined)).toMatchObject({ more: true, count: boardLimits.keysOfAuthorMax })
  }, 60_000)
})

describe('comparing and setting', () => {
  test('exactly one of two that saw the same version wins, over and over [register-1]', async () => {
    const { boards: all } = await boards('attic', 'bath', 'cellar')
    const [attic, bath, cellar] = all as [Board, Board, Board]
    const { version } = await attic.set('turn', 0)
    await until('all have it', () => all.every((board) => board.get('turn')?.version === version))
    let at = version
    for (let round = 1; round <= 5; round += 1) {
      const ends = await Promise.all(
        [attic, bath].map((board, n) =>
          codeOf(board.compareAndSet('turn', at, `${round} ${n}`, {}, forever)),
        ),
      )
      expect(ends.toSorted()).toEqual(['conflict', 'set'])
      const won = `${round} ${ends.indexOf('set')}`
      await until('all have it', () => all.every((board) => board.get('turn')?.value === won))
      const next = cellar.get('turn')?.version ?? 0
      expect(next).toBeGreaterThan(at)
      at = next
    }
  }, 60_000)

  test('zero stands for nothing there, also where it was deleted', async () => {
    const { boards: all } = await boards('attic', 'bath')
    const [attic, bath] = all as [Board, Board]
    const first = await attic.compareAndSet('who', 0, 'attic', {}, forever)
    expect(first).toMatchObject({ value: 'attic', author: 'attic' })
    // The bath has not heard of it, perhaps: it is told.
    expect(await codeOf(bath.compareAndSet('who', 0, 'bath', {}, forever))).toBe('conflict')
    await until('the bath has it', () => bath.get('who')?.value === 'attic')
    await bath.set('who', undefined)
    expect(await codeOf(bath.compareAndSet('who', first.version, 'x', {}, forever))).toBe('conflict')
    expect(await bath.compareAndSet('who', 0, 'bath', {}, forever)).toMatchObject({ author: 'bath' })
  }, 60_000)

  test('a device without the majority sets nothing and says why; a plain writing works [compare-1]', async () => {
    const { devices, boards: all } = await boards('attic', 'bath', 'cellar')
    const [attic, bath, cellar] = all as [Board, Board, Board]
    await bath[Symbol.asyncDispose]()
    await cellar[Symbol.asyncDispose]()
    await expect(attic.compareAndSet('turn', 0, 1, {}, forever)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: '1 of 3 devices answered, more than half must' },
    })
    await attic.set('turn', 'local')
    expect(attic.get('turn')?.value).toBe('local')
    await broker.stop()
    await until('it is cut off', () => devices[0]?.link.connected === false)
    const { version = 0 } = attic.get('turn') ?? {}
    await expect(attic.compareAndSet('turn', version, 1, {}, forever)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'this device is cut off from the other 2' },
    })
  }, 60_000)

  test('a device alone in its site needs no broker', async () => {
    const { boards: all } = await boards('attic')
    const [attic] = all as [Board]
    await broker.stop()
    const { version } = await attic.compareAndSet('turn', 0, 1, {}, forever)
    expect(await attic.compareAndSet('turn', version, 2, {}, forever)).toMatchObject({ value: 2 })
    expect(await codeOf(attic.compareAndSet('turn', version, 3, {}, forever))).toBe('conflict')
  }, 60_000)
})
