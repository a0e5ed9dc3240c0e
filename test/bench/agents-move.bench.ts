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
import type { Benchmark } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

/** It never comes: the agent moves in the middle of this await. */
const never: Service = {
  ops: ['sleep'],
  perform: (_performing, signal) =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve({ ok: true }), { once: true })),
}
/** Some memory of its own, as an agent that has run for a while has. */
const traveller = stepping(
  'traveller',
  `const seen = Array.from({ length: 20_000 }, (_, n) => ({ n, at: Math.random() })); await ctx.sleep('1d'); return seen.length`,
)
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
    const opened = async ({ name, identity, link: bus }: SiteDevice) =>
      stack.use(
        await MovingDevice.open({
          ...{ clock: realClock, bus, identity, directory: join(directory, name), services: [never] },
        }),
      )
    const devices = { hub: await opened(hub), cellar: await opened(cellar) }
    await devices.hub.run(traveller)
    let place: keyof typeof devices = 'hub'
    let bytes = 0
    const move = async () => {
      signal.throwIfAborted()
      const to = place === 'hub' ? 'cellar' : 'hub'
      const begunMs = performance.now()
      const moved = await devices[place].mover.move('traveller', to)
      const tookMs = performance.now() - begunMs
      if (moved.pending) throw new Error('the other device has not said that it goes on there')
      ;({ bytes } = moved)
      place = to
      return tookMs
    }
    progress('there and back')
    // The size, and threads and engines of both.
    for (let time = 0; time < 2; time += 1) await move()
    const bare = await bareTransfer(hub, cellar, bytes)
    const { ours, theirs } = await alternate(
      { ours: move, theirs: bare },
      { rounds: quick ? 8 : 100, warmUps: 2 },
    )
    const shared = {
      unit: 'ms',
      against: 'the same bytes over the same broker and links, in messages as large as may be, kept nowhere',
      limit:
        'syncs to the disk one after the other on both devices, the image (zstd), signatures of each piece, two more rounds of words',
    }
    const note = `${Math.round(bytes / 1024)} KB: image, program, guest; both devices and the broker share one process`
    return [
      { ...shared, name: 'agents.move', value: median(ours), baseline: median(theirs), note },
      {
        ...shared,
        ...{ name: 'agents.move-p95', value: quantile(ours, 0.95), baseline: quantile(theirs, 0.95) },
      },
    ]
  },
}

async function bareTransfer(from: SiteDevice, to: SiteDevice, bytes: number): Promise<() => Promise<number>> {
  const whole = randomBytes(bytes)
  const partBytes = wireLimits.mqttPayloadBytesMax
  let come = 0
  let over: () => void = () => {}
  to.link.subscribe(topic, ({ payload }) => {
    come += payload.byteLength
    if (come >= bytes) over()
    return undefined
  })
  return async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    over = resolve
    come = 0
    const begunMs = performance.now()
    for (let at = 0; at < bytes; at += partBytes)
      void from.link.publish(topic, whole.subarray(at, at + partBytes))
    await promise
    return performance.now() - begunMs
  }
}
