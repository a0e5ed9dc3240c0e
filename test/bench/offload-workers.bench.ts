/**
 * Two gateways as workers behind one broker: what 32 devices get done with both against one of them, and what is lost when one of
 * the two is killed under load.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { programPath } from '../../runtime/base/program.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import { openPromptAedes } from './brokers.ts'
import { type OffloadDevice, openDevice, untilOffered } from './offload-devices.ts'
import { median } from './quantiles.ts'
import { Worker } from './worker.ts'

const devicesCount = 32
const model = 'slow'
/** One request at the model, and how many each gateway's server takes at once. */
const takesMs = 40
const atOnce = 4
/** Requests that a device has under way. */
const perDevice = 2
const deadlineMs = 15_000
const readyMsMax = 30_000

export const offloadTwoWorkers: Benchmark = {
  name: 'offload.two-workers',
  async run(context) {
    const { signal, quick, progress } = context
    const folder = mkdtempSync(join(tmpdir(), 'ganglion-bench-workers-'))
    await using stack = new AsyncDisposableStack()
    stack.defer(() => rmSync(folder, { recursive: true, force: true }))
    const broker = stack.use(await openPromptAedes())
    const upstream = stack.use(
      await Worker.open(new URL('programs/slow-upstream.ts', import.meta.url), [String(takesMs)]),
    )
    const { url } = await upstream.ask<{ url: string }>({})
    const gateway = (id: string) =>
      startGateway({ id, folder, brokerPort: broker.port, upstream: url, stack })
    const devices: OffloadDevice[] = []
    for (let n = 0; n < devicesCount; n += 1) devices.push(stack.use(await openDevice(broker.port, `d${n}`)))
    const both = (workers: number) =>
      Promise.all(devices.map((device) => untilOffered(device, model, workers, signal)))
    const forMs = quick ? 1_500 : 5_000
    const rounds = quick ? 1 : 3
    const perS: { one: number[]; two: number[] } = { one: [], two: [] }
    const first = await gateway('w1')
    for (let round = 0; round < rounds; round += 1) {
      progress(`round ${round + 1} of ${rounds}`)
      await both(1)
      perS.one.push((await load(devices, forMs, context)).perS)
      const second = await gateway('w2')
      await both(2)
      perS.two.push((await load(devices, forMs, context)).perS)
      await stopped(second, 'SIGTERM')
    }
    const killed = await killOne(devices, { first, second: await gateway('w2'), both, forMs, context })
    return [throughput(median(perS.two), median(perS.one)), killed]
  },
}

function throughput(two: number, one: number): Measurement {
  return {
    name: 'offload.two-workers-throughput',
    value: two,
    unit: 'requests/s',
    baseline: one,
    against: 'one of the two gateways alone, the same devices and broker, before each time with both',
    budget: { of: 'ratio', min: 1.8 },
    limit: `each gateway's server takes ${atOnce} requests at once for ${takesMs} ms: ${(1000 / takesMs) * atOnce} requests/s; above that devices wait`,
    note: `${devicesCount} devices with ${perDevice} requests under way each; two gateway processes, plain aedes in its own; the model is a server that takes time and no processor, as one with its own accelerator would, since the cores of one machine cannot show two`,
  }
}

interface KillOptions {
  readonly first: ChildProcess
  readonly second: ChildProcess
  readonly both: (workers: number) => Promise<unknown>
  readonly forMs: number
  readonly context: BenchmarkContext
}

/** Under load, with SIGKILL. A request is lost when its device got no answer. */
async function killOne(devices: readonly OffloadDevice[], options: KillOptions): Promise<Measurement> {
  const { first, second, both, forMs, context } = options
  await both(2)
  const movedBefore = total(devices, 'moved')
  const underLoad = load(devices, forMs, context)
  await sleep(forMs / 3)
  await stopped(first, 'SIGKILL')
  const { answered, failed } = await underLoad
  const moved = total(devices, 'moved') - movedBefore
  await stopped(second, 'SIGTERM')
  if (moved === 0) throw new Error('the gateway that was killed had nothing to lose: nothing was measured')
  return {
    name: 'offload.two-workers-killed-one',
    value: failed.length,
    unit: 'requests lost',
    baseline: moved,
    against:
      'the requests that the killed gateway had not answered, which devices that ask once would have lost',
    budget: { of: 'value', max: 0 },
    limit: 'nothing, for models that may run twice; for others those requests fail as engine-lost',
    note: `${answered} answered while one of two gateways was killed with SIGKILL${failed.length > 0 ? `; lost: ${failed[0]}` : ''}`,
  }
}

const total = (devices: readonly OffloadDevice[], of: 'moved') =>
  devices.reduce((sum, { client }) => sum + client.stats()[of], 0)

/** Every device asks again as soon as it is answered. */
async function load(devices: readonly OffloadDevice[], forMs: number, { signal }: BenchmarkContext) {
  const startMs = performance.now()
  let answered = 0
  let inTime = 0
  const failed: string[] = []
  const ask = async ({ client }: OffloadDevice) => {
    while (performance.now() - startMs < forMs && !signal.aborted) {
      try {
        const request = { model, priority: 'interactive', deadlineMs, privacy: 'site' } as const
        const text = { name: 'text', datatype: 'BYTES', shape: [1], data: ['hello'] } as const
        for await (const _ of client.infer(
          { ...request, inputs: [{ ...text, data: [...text.data] }] },
          signal,
        ));
        answered += 1
        if (performance.now() - startMs < forMs) inTime += 1
      } catch (error) {
        failed.push(String(error))
      }
    }
  }
  await Promise.all(devices.flatMap((device) => Array.from({ length: perDevice }, () => ask(device))))
  return { answered, failed, perS: (inTime / forMs) * 1000 }
}

interface GatewayOptions {
  readonly id: string
  readonly folder: string
  readonly brokerPort: number
  readonly upstream: string
  readonly stack: AsyncDisposableStack
}

async function startGateway(options: GatewayOptions): Promise<ChildProcess> {
  const { id, folder, brokerPort, upstream, stack } = options
  const config = join(folder, `${id}.yaml`)
  const models = [{ name: model, task: 'embeddings' }]
  const server = { id: 'server', kind: 'openai', url: upstream, reach: 'site', concurrency: atOnce, models }
  writeFileSync(config, JSON.stringify({ gateway: { upstreams: [server] } }))
  const own = ['--config', config, '--id', id, '--http-port', '0', '--state-dir', join(folder, id)]
  const broker = ['--broker', `mqtt://127.0.0.1:${brokerPort}`]
  const args = [programPath('gateway'), ...own, ...broker, '--log-level', 'error', '--json', '--supervised']
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  stack.defer(() => stopped(child, 'SIGKILL'))
  await once(createInterface(child.stdout), 'line', { signal: AbortSignal.timeout(readyMsMax) })
  return child
}

async function stopped(child: ChildProcess, by: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill(by)
  await gone
}
