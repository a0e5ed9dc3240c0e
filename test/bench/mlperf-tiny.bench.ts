/**
 * The four networks of MLPerf Tiny through the whole runtime: router, served models, supervisor, pipe, engine; beside bare
 * onnxruntime-node that has the same files in one process. One thread each, one request after another.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { programPath } from '../../runtime/base/program.ts'
import { EngineRoute } from '../../runtime/inference/engine-route.ts'
import type { Inference } from '../../runtime/inference/inference.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { ServedModels } from '../../runtime/inference/served-models.ts'
import type { ModelManifestInput } from '../../runtime/inference/store/manifest.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'
import { type Memory, settledMemory } from './settled-memory.ts'
import { fileOf, inputOf, type TinyNetwork, tinyNetworks } from './tiny-networks.ts'
import { Worker } from './worker.ts'

/** Times of runs in a row, and what the last of them answered. */
export interface NetworkRuns {
  readonly ms: readonly number[]
  readonly answer: readonly number[]
}

interface Device {
  readonly router: Inference
  readonly engine: EngineSupervisor
}

export const mlperfTiny: Benchmark = {
  name: 'mlperf-tiny',
  async run({ quick, signal }) {
    const folder = await mkdtemp(join(tmpdir(), 'bench-mlperf-tiny-'))
    try {
      await using stack = new AsyncDisposableStack()
      const device = await openDevice(folder, stack, signal)
      const bare = stack.use(
        await Worker.open(new URL('programs/bare-networks.ts', import.meta.url), [], {
          env: { MALLOC_ARENA_MAX: '1' },
        }),
      )
      const results: Measurement[] = []
      for (const network of tinyNetworks)
        results.push(await compared(network, device, bare, quick ? 40 : 200, signal))
      const pids = { engine: device.engine.pid ?? 0, bare: bare.pid }
      const readings = quick ? 1 : 5
      return [...results, memoryOf(await settledMemory(pids, { settleMs: 1_000, readings }, signal))]
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

/** As a device has it, with these models in its store. */
async function openDevice(dir: string, stack: AsyncDisposableStack, signal: AbortSignal): Promise<Device> {
  const deps = { clock: realClock, log: silentLog }
  const manifests = await Promise.all(tinyNetworks.map(manifestOf))
  const store = stack.use(await ModelStore.open(deps, { dir, manifests }, signal))
  for (const { name } of manifests) await store.ensure(name, { signal })
  const entry = programPath('engine')
  const engine = stack.use(await EngineSupervisor.open(deps, { models: [], entry, start: 'eager' }, signal))
  const served = stack.use(await ServedModels.open({ ...deps, store, engines: engine }, {}, signal))
  for (const { name } of manifests) await engine.preload(name, signal)
  const routes = [new EngineRoute(served)]
  const router = stack.use(new Router({ ...deps, routes: () => routes, redactor: () => new Redactor() }))
  return { router, engine }
}

async function manifestOf(network: TinyNetwork): Promise<ModelManifestInput> {
  const url = fileOf(network)
  const bytes = await readFile(url)
  const { name, file, input, output, shape } = network
  const digest = createHash('sha256').update(bytes).digest('hex')
  const { datatype } = inputOf(network)
  return {
    name,
    version: '1.0.0',
    description: 'MLPerf Tiny',
    licence: 'Apache-2.0',
    attribution: 'MLCommons',
    pipeline: 'tensor',
    files: [{ role: 'model', path: file, source: url.href, sha256: digest, bytes: bytes.byteLength }],
    memoryMb: 8,
    inputs: [{ name: input, datatype, shape: [-1, ...shape.slice(1)], description: 'input' }],
    outputs: [{ name: output, datatype: 'FP32', shape: [-1, -1], description: 'output' }],
  }
}

async function compared(
  network: TinyNetwork,
  device: Device,
  bare: Worker,
  runs: number,
  signal: AbortSignal,
): Promise<Measurement> {
  const { name } = network
  const ways = await alternate<'ours' | 'engine' | 'bare', NetworkRuns>(
    {
      ours: () => through(device.router, network, runs, signal),
      engine: () => through(device.engine, network, runs, signal),
      bare: () => bare.ask<NetworkRuns>({ name, runs }),
    },
    { rounds: 8, warmUps: 2 },
  )
  assertSameAnswer(name, ways.ours[0]?.answer ?? [], ways.bare[0]?.answer ?? [])
  const ours = ways.ours.flatMap(({ ms }) => ms)
  const alone = ways.bare.flatMap(({ ms }) => ms)
  const usOver = (one: readonly number[], other: readonly number[]) =>
    ((median(one) - median(other)) * 1000).toFixed(0)
  const engine = ways.engine.flatMap(({ ms }) => ms)
  return {
    name: `mlperf-tiny.${name}`,
    value: median(ours),
    unit: 'ms',
    baseline: median(alone),
    against: 'the median run on bare onnxruntime-node in one process, one thread',
    limit:
      'two wake-ups of another process and the copies of the input; the network itself is the smaller part',
    note:
      `p50 and p99: runtime ${spread(ours)} ms, bare ${spread(alone)} ms; adds ${usOver(ours, alone)} µs to the median, ` +
      `of them the router ${usOver(ours, engine)}; ` +
      `inferences/s one after another: runtime ${perSecond(ours)}, bare ${perSecond(alone)}; memory as the engine ` +
      `measured it: ${device.engine.outlook(name)?.memoryMb?.toFixed(1) ?? 'not measured'} MB`,
  }
}

const spread = (ms: readonly number[]) => `${median(ms).toFixed(3)} and ${quantile(ms, 0.99).toFixed(3)}`
const perSecond = (ms: readonly number[]) =>
  Math.round((1000 * ms.length) / ms.reduce((sum, one) => sum + one, 0))

async function through(
  inference: Inference,
  network: TinyNetwork,
  runs: number,
  signal: AbortSignal,
): Promise<NetworkRuns> {
  const inputs = [inputOf(network)]
  const ms: number[] = []
  let answer: readonly number[] = []
  for (let run = 0; run < runs; run += 1) {
    const startMs = performance.now()
    const request = {
      model: network.name,
      priority: 'interactive',
      deadlineMs: 10_000,
      privacy: 'device',
      inputs,
    } as const
    let given: readonly Tensor[] = []
    for await (const { outputs } of inference.infer(request, signal)) given = outputs
    ms.push(performance.now() - startMs)
    answer = [...((given[0]?.data ?? []) as Float32Array)]
  }
  return { ms, answer }
}

/** A baseline that does other work would be none. */
function assertSameAnswer(name: string, ours: readonly number[], bare: readonly number[]): void {
  const same = ours.length === bare.length && ours.every((value, at) => value === bare[at])
  if (!same || ours.length === 0)
    throw new Error(`${name}: the runtime and the bare model answer differently`)
}

function memoryOf({ engine, bare }: Record<'engine' | 'bare', Memory>): Measurement {
  return {
    name: 'mlperf-tiny.memory',
    value: engine.pssMb,
    unit: 'MB',
    baseline: bare.pssMb,
    against: 'PSS of the process with bare onnxruntime-node, all eight loaded in both',
    limit:
      'Node and the onnxruntime library, whose pages both share with this process alike; the eight networks together are 3 MB of weights',
    note: `RSS: engine ${engine.rssMb}, bare ${bare.rssMb} MB`,
  }
}
