/**
 * Twenty models in memory for five: how many requests find theirs loaded, and how late the slowest are, beside the same engine
 * that gives up whichever model was used longest ago. Requests follow Zipf's law; both ways see the same ones.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock, VirtualClock } from '../../runtime/base/clock.ts'
import { Engine } from '../../runtime/inference/engine/engine.ts'
import { type Resident, roomFor } from '../../runtime/inference/engine/memory-budget.ts'
import type { EngineModel, FromEngine } from '../../runtime/wire/engine-protocol.ts'
import { floats, node, onnxModel, value } from '../fixtures/onnx.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

const modelsMax = 20
const fitting = 5
/** Of Zipf's law: the usual of web and request traces. */
const exponent = 1
const megabyte = 2 ** 20

interface Answer {
  readonly hitRate: number
  /** Of each request, in the order in which they were asked. */
  readonly ms: readonly number[]
}

export const modelsBudget: Benchmark = {
  name: 'engine.models-budget',
  async run(context) {
    const folder = await mkdtemp(join(tmpdir(), 'bench-models-'))
    try {
      return await measured(folder, context)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function measured(folder: string, { quick, progress }: BenchmarkContext): Promise<Measurement[]> {
  const random = new VirtualClock({ seed: 4 })
  const models = await writeModels(folder, random)
  const asked = zipf(models, quick ? 400 : 2000, random)
  const budgetMb = (models.reduce((sum, { mb }) => sum + mb, 0) / modelsMax) * fitting
  progress(`${modelsMax} models in ${budgetMb.toFixed(1)} MB, ${asked.length} requests a round`)
  const way = (room: typeof roomFor) => () => stream(models, asked, budgetMb, room)
  const answers = await alternate(
    { worth: way(roomFor), lru: way(longestAgoFirst) },
    { rounds: quick ? 3 : 5, warmUps: 1 },
  )
  const [worth, lru] = [typical(answers.worth), typical(answers.lru)]
  const note = ({ hitRate, p95Ms, meanMs }: Typical) =>
    `${(hitRate * 100).toFixed(1)} % loaded, p95 ${p95Ms.toFixed(2)} ms, mean ${meanMs.toFixed(2)} ms`
  const common = {
    against: 'the same engine, budget and requests, the model used longest ago going first (LRU)',
    note: `by worth: ${note(worth)}; LRU: ${note(lru)}`,
  }
  return [
    {
      name: 'engine.models-budget-hit-rate',
      value: worth.hitRate * 100,
      unit: '%',
      baseline: lru.hitRate * 100,
      budget: { of: 'ratio', min: 1 },
      limit: 'the law of the requests: the five most asked of twenty have 63 % of them, were all of one size',
      ...common,
    },
    {
      name: 'engine.models-budget-p95',
      value: worth.p95Ms,
      unit: 'ms',
      baseline: lru.p95Ms,
      budget: { of: 'ratio', max: 1.1 },
      limit:
        'loading: more than a twentieth of all requests have to load either way, so that the slowest of both are the same loads of ' +
        'rare models, and the ratio is 1 but for how well a load was timed',
      ...common,
    },
  ]
}

interface Typical {
  readonly hitRate: number
  readonly p95Ms: number
  readonly meanMs: number
}

/** Every round asks the same: the median of one request over all rounds is without what else the machine did meanwhile. */
function typical(rounds: readonly Answer[]): Typical {
  const ms = (rounds[0]?.ms ?? []).map((_, at) => median(rounds.map((round) => round.ms[at] ?? 0)))
  return {
    hitRate: median(rounds.map(({ hitRate }) => hitRate)),
    p95Ms: quantile(ms, 0.95),
    meanMs: ms.reduce((sum, one) => sum + one, 0) / ms.length,
  }
}

interface Sized {
  readonly model: EngineModel
  readonly mb: number
}

/** Sizes and numbers of nodes, which make a load long, independent of each other and of how much a model is asked for. */
async function writeModels(folder: string, random: VirtualClock): Promise<Sized[]> {
  const models: Sized[] = []
  for (let at = 0; at < modelsMax; at += 1) {
    const width = 128 * 2 ** Math.floor(random.random() * 3)
    const layers = 1 + Math.floor(random.random() * 3)
    const bytes = network(width, layers, Math.floor(random.random() ** 2 * 300))
    const path = join(folder, `${at}.onnx`)
    await writeFile(path, bytes)
    const model = { name: `m${at}`, pipeline: 'tensor', files: { model: path } }
    models.push({ model, mb: bytes.byteLength / megabyte })
  }
  return models
}

/** `layers` products with weights of `width` × `width`, and `cheap` small nodes that no optimiser joins. */
function network(width: number, layers: number, cheap: number): Uint8Array {
  const nodes: Uint8Array[] = []
  let last = 'x'
  const next = (op: string, inputs: readonly string[]) => {
    const name = `v${nodes.length}`
    nodes.push(node(op, inputs, [name]))
    last = name
  }
  for (let layer = 0; layer < layers; layer += 1) next('MatMul', [last, `w${layer}`])
  for (let at = 0; at < cheap; at += 1) next(at % 2 === 0 ? 'Tanh' : 'Sigmoid', [last])
  nodes.push(node('Identity', [last], ['y']))
  return onnxModel({
    inputs: [value('x', 'FP32', [1, width])],
    outputs: [value('y', 'FP32', [1, width])],
    nodes,
    constants: Array.from({ length: layers }, (_, layer) =>
      floats(`w${layer}`, [width, width], Array(width * width).fill(0.01)),
    ),
  })
}

function zipf(models: readonly Sized[], count: number, random: VirtualClock): EngineModel[] {
  const weights = models.map((_, rank) => 1 / (rank + 1) ** exponent)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return Array.from({ length: count }, () => {
    let left = random.random() * total
    const at = weights.findIndex((weight) => {
      left -= weight
      return left < 0
    })
    return (models[at] ?? (models[0] as Sized)).model
  })
}

async function stream(
  models: readonly Sized[],
  asked: readonly EngineModel[],
  budgetMb: number,
  room: typeof roomFor,
): Promise<Answer> {
  const widths = new Map<string, number>()
  let loads = 0
  let settle: (message: FromEngine) => void = () => {}
  const engine = new Engine(
    {
      clock: realClock,
      pid: process.pid,
      send: (message) => {
        if (message.t === 'loaded') {
          loads += 1
          widths.set(message.model, Number(message.inputs?.[0]?.shape[1]))
        } else if (message.t === 'failed') throw new Error(message.message)
        else if (message.t === 'response') settle(message)
      },
      drained: async () => {},
      // Sizes are those of the files, so that both ways fit the same.
      nativeMb: () => 0,
      rssBytes: () => 0,
      onStop: () => {},
      warn: () => {},
    },
    { queueMax: 4, intraOpThreads: 1, roomFor: room },
  )
  engine.handle({ t: 'models', models: models.map(({ model, mb }) => ({ ...model, memoryMb: mb })) })
  engine.handle({ t: 'limits', budgetMb })
  // Shapes are known beforehand: what is timed is the request.
  for (const { model } of models) {
    engine.handle({ t: 'load', model: model.name })
    while (!widths.has(model.name)) await new Promise((resolve) => setImmediate(resolve))
  }
  loads = 0
  const ms: number[] = []
  for (const [at, { name }] of asked.entries()) {
    const width = widths.get(name) ?? 0
    const x = { name: 'x', datatype: 'FP32', shape: [1, width], data: new Float32Array(width) }
    const request = {
      id: `${at}`,
      model: name,
      priority: 'interactive',
      deadlineMs: 60_000,
      privacy: 'device',
      inputs: [x],
    }
    const startMs = performance.now()
    const message = await new Promise<FromEngine>((resolve) => {
      settle = resolve
      engine.handle({ t: 'infer', request })
    })
    ms.push(performance.now() - startMs)
    if (message.t !== 'response' || 'error' in message.response)
      throw new Error(`no answer: ${JSON.stringify(message)}`)
  }
  engine.handle({ t: 'models', models: [] })
  return { hitRate: 1 - loads / asked.length, ms }
}

/** Least recently used first, whatever its size and its reload take. */
const longestAgoFirst: typeof roomFor = (neededMb, residents, budgetMb, nowMs) => {
  const evict: string[] = []
  let overMb = residents.reduce((sum, { memoryMb }) => sum + memoryMb, neededMb) - budgetMb
  const free = residents.filter(({ pinned, inUse }) => !pinned && !inUse)
  for (const resident of free.toSorted((a: Resident, b: Resident) => a.uses.lastMs - b.uses.lastMs)) {
    if (overMb <= 0) break
    evict.push(resident.name)
    overMb -= resident.memoryMb
  }
  return overMb <= 0 ? { fits: true, evict } : roomFor(neededMb, residents, budgetMb, nowMs)
}
