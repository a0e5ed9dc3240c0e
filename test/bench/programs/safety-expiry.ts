/**
 * A device whose main thread is blocked while a lease ends; and, in the same block, a bare worker whose timer ends at
 * another moment. Both times come from CLOCK_MONOTONIC.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SafetyThread } from '../../../hal/safety/thread-port.ts'
import { realClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { answerParent } from '../answering.ts'

/** After the lease, so that neither timer waits for the other's work. */
const bareLaterMs = 100
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6

const dir = mkdtempSync(join(tmpdir(), 'ganglion-bench-safety-'))
process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
process.env['GANGLION_BENCH_WRITES'] = join(dir, 'writes')

const component = 'switch.pump'
const host = { clock: realClock, log: silentLog, random: () => realClock.random() }
const { signal } = new AbortController()
const thread = await SafetyThread.open(
  { host },
  {
    io: { kind: 'module', url: new URL('./timed-io.ts', import.meta.url).href },
    providers: [],
    sensors: [],
    actuators: [
      {
        id: 'pump',
        driver: 'relay',
        component,
        at: { pins: { signal: 11 } },
        options: { as: 'switch', activeLow: false, normallyOn: false },
        exclusive: false,
        keepWithoutNetwork: false,
      },
    ],
    config: { silenceMsMax: 60_000 },
    safetyDir: join(dir, 'safety'),
  },
  signal,
)
const bare = new Worker(
  `const { parentPort } = require('node:worker_threads')
   parentPort.on('message', (ms) => setTimeout(() => parentPort.postMessage(Number(process.hrtime.bigint()) / 1e6), ms))`,
  { eval: true },
)

/**
 * When the lease ends, from what the thread says is left of it: an answer is older than its question by the way there, so
 * each says too early, and the latest is the nearest.
 */
async function leaseEndMs(): Promise<number> {
  let endMs = Number.NEGATIVE_INFINITY
  for (let n = 0; n < 10; n += 1) {
    const askedMs = monotonicMs()
    const [lease] = (await thread.status()).leases
    endMs = Math.max(endMs, askedMs + (lease?.leftMs ?? Number.NaN))
  }
  return endMs
}

answerParent(async ({ blockMs, ttlMs }: { blockMs: number; ttlMs: number }) => {
  const lease = await thread.acquire({ components: [component], principal: 'user', ttlMs })
  const meta = { id: 'on', principal: 'user', ttlMs: 1_000, lease: { id: lease.id, sequence: 1 } }
  await thread.command(component, { state: 'on' }, meta, signal)
  const dueMs = await leaseEndMs()
  const fired = new Promise<number>((resolve) => bare.once('message', resolve))
  const bareDueMs = monotonicMs() + ttlMs + bareLaterMs
  bare.postMessage(ttlMs + bareLaterMs)
  const endMs = monotonicMs() + blockMs
  while (monotonicMs() < endMs);
  const [atMs = Number.NaN, value] =
    readFileSync(join(dir, 'writes'), 'utf8').trim().split('\n').at(-1)?.split(' ').map(Number) ?? []
  if (value !== 0 || atMs >= endMs)
    throw new Error('the output was not driven safe while the main thread was blocked')
  return { lateMs: atMs - dueMs, bareLateMs: (await fired) - bareDueMs }
})
