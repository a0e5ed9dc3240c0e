/**
 * A running agent that moves from one device to the other and back, over a broker: from the word to move it until it has begun there and is
 * forgotten here, each step on the disk of both. Beside it the same bytes over the same broker and the same links, kept nowhere.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Service } from '../../runtime/agent/service.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { MovingDevice, stepping } from '../fixtures/agent/moving-device.ts'
import { startAedes } from '../fixtures/broker.ts'
import { openSite, type SiteDevice } from '../fixtures/site.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

/** What it has of its own, megabytes that no zstd makes smaller: next to nothing, and nearly all that it may have. */
const sizes = { small: 1, large: 13 } as const
type Size = keyof typeof sizes

/** In pieces, so that no turn takes long; then it waits for what never comes, and moves in the middle of that. */
const traveller = (size: Size) =>
  stepping(
    size,
    `const kept = []
     for (let at = 0; at < ${sizes[size] * 10}; at += 1) {
       kept.push(Float64Array.from({ length: 13_000 }, () => Math.random()))
       await ctx.memory.get('a')
     }
     await ctx.sleep('1d')
     return kept.length`,
  )

/** Answers all but a sleep, which it says is under way. */
function services(waits: () => void): Service {
  return {
    ops: ['memory.get', 'sleep'],
    perform: ({ call }, signal) => {
      if (call.op === 'memory.get') return Promise.resolve({ ok: true })
      waits()
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve({ ok: true }), { once: true }),
      )
    },
  }
}
const topic = 'ganglion/site/bench/cellar/hub'

export const agentsMove: Benchmark = {
  name: 'agents.move',
  async run({ quick, signal, progress }) {
    await using stack = new AsyncDisposableStack()
    const broker = stack.use(await startAedes())
    const sites = await openSite(broker.url, ['hub', 'cellar'])
    for (const site of sites) stack.use(site)
    const [hub, cellar] = sites as [SiteDevice, SiteDevice]
    const directory = mkdtempSync(join(tmpdir(), 'ganglion-bench-move-'))
    stack.defer(() => rmSync(directory, { recursive: true, force: true }))
    let waits: () => void = () => {}
    const opened = async ({ name, identity, link: bus }: SiteDevice) =>
      stack.use(
        await MovingDevice.open({
          ...{ clock: realClock, bus, identity, directory: join(directory, name) },
          services: [services(() => waits())],
          bytesMax: 512 * 1024 * 1024,
        }),
      )
    const devices = { hub: await opened(hub), cellar: await opened(cellar) }
    const measured = async (size: Size, rounds: number) => {
      const begun = Promise.withResolvers<void>()
      waits = begun.resolve
      await devices.hub.run(traveller(size))
      await begun.promise
      waits = () => {}
      let place: keyof typeof devices = 'hub'
      let bytes = 0
      const move = async () => {
        signal.throwIfAborted()
        const to = place === 'hub' ? 'cellar' : 'hub'
        const begunMs = performance.now()
        const moved = await devices[place].mover.move(size, to)
        const tookMs = performance.now() - begunMs
        if (moved.pending) throw new Error('the other device has not said that it goes on there')
        ;({ bytes } = moved)
        place = to
        return tookMs
      }
      progress(`there and back, ${size}`)
      // The size, and threads and engines of both.
      for (let time = 0; time < 2; time += 1) await move()
      const bare = bareTransfer(hub, cellar, bytes)
      const { ours, theirs } = await alternate({ ours: move, theirs: bare.run }, { rounds, warmUps: 1 })
      bare.over()
      await (await devices[place].agents()).remove(size)
      return rows(size, { ours, theirs, bytes })
    }
    return [...(await measured('small', quick ? 8 : 100)), ...(await measured('large', quick ? 3 : 20))]
  },
}

function rows(
  size: Size,
  { ours, theirs, bytes }: { ours: number[]; theirs: number[]; bytes: number },
): Measurement[] {
  const name = size === 'small' ? 'agents.move' : 'agents.move.large'
  const shared = {
    unit: 'ms',
    against: 'the same bytes over the same broker and links, in messages as large as may be, kept nowhere',
    limit:
      'syncs to the disk one after the other on both devices, the image (zstd), signatures of each piece in base64, three more rounds of words',
  }
  const note = `${Math.round(bytes / 1024)} KB: image, program, guest; ${ours.length} moves; both devices and the broker share one process`
  return [
    { ...shared, name, value: median(ours), baseline: median(theirs), note },
    {
      ...shared,
      ...{ name: `${name}-p95`, value: quantile(ours, 0.95), baseline: quantile(theirs, 0.95) },
    },
  ]
}

function bareTransfer(from: SiteDevice, to: SiteDevice, bytes: number) {
  const whole = randomBytes(bytes)
  const partBytes = wireLimits.mqttPayloadBytesMax
  let come = 0
  let over: () => void = () => {}
  const cancel = to.link.subscribe(topic, ({ payload }) => {
    come += payload.byteLength
    if (come >= bytes) over()
    return undefined
  })
  const run = async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    over = resolve
    come = 0
    const begunMs = performance.now()
    for (let at = 0; at < bytes; at += partBytes)
      void from.link.publish(topic, whole.subarray(at, at + partBytes))
    await promise
    return performance.now() - begunMs
  }
  return { run, over: cancel }
}
