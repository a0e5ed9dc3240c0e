/**
 * What dynamic batching gains at a gateway: answers a second to 32 devices at once, each over a connection of its own to the
 * gateway's broker, from the same model with and without it. A wide perceptron, whose weights are read from memory once a run, gains most; the machine-sound autoencoder of
 * MLPerf Tiny is small enough to stay in the cache, and shows what is left then.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { loadConfig } from '../../gateway/config.ts'
import { Gateway } from '../../gateway/gateway.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { floats, ints, node, onnxModel, value } from '../fixtures/onnx.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import type { DevicesAnswer, DevicesQuestion } from './programs/infer-devices.ts'
import { median, quantile } from './quantiles.ts'
import { Worker } from './worker.ts'

const devices = 32
const batch = 'batch: { max: 32, delayMs: 2 }'
const width = 1536
const layers = 3

interface Case {
  readonly name: string
  readonly input: string
  readonly length: number
  readonly file: (folder: string) => string
  readonly budget?: Measurement['budget']
  readonly limit: string
}

const ad01 = fileURLToPath(new URL('../../runtime/inference/models/files/ad01.onnx', import.meta.url))
const cases: readonly Case[] = [
  {
    name: 'perceptron',
    input: 'x',
    length: width,
    file: (folder) => {
      const path = join(folder, 'perceptron.onnx')
      writeFileSync(path, perceptron())
      return path
    },
    budget: { of: 'ratio', min: 2 },
    limit:
      'without batches the memory that brings the weights each time; with them the arithmetic of one core',
  },
  {
    name: 'machine-sound',
    input: 'features',
    length: 640,
    file: () => ad01,
    limit:
      "the gateway's and its broker's own work on each request: the model takes tenths of a millisecond either way",
  },
]

export const gatewayBatching: Benchmark = {
  name: 'gateway.batching',
  async run(context) {
    const folder = mkdtempSync(join(tmpdir(), 'bench-batching-'))
    const store = process.env['GANGLION_MODELS_DIR']
    process.env['GANGLION_MODELS_DIR'] = join(folder, 'store')
    try {
      return await measured(folder, context)
    } finally {
      if (store === undefined) delete process.env['GANGLION_MODELS_DIR']
      else process.env['GANGLION_MODELS_DIR'] = store
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

async function measured(folder: string, context: BenchmarkContext): Promise<Measurement[]> {
  const paths = new Map(cases.map((one) => [one, one.file(folder)]))
  for (const [{ name }, path] of paths) {
    put(folder, `${name}-together`, path, batch)
    put(folder, `${name}-alone`, path, '')
  }
  await using gateway = await openGateway(folder, context.signal)
  context.progress('the engine looks at the models')
  const { port } = new URL(gateway.mqttUrl)
  const program = new URL('programs/infer-devices.ts', import.meta.url)
  await using worker = await Worker.open(program, [port, String(devices)])
  const results: Measurement[] = []
  for (const [one, path] of paths) results.push(await compared(one, path, worker, context))
  return results
}

async function compared(
  { name, input, length, budget, limit }: Case,
  path: string,
  worker: Worker,
  { quick }: BenchmarkContext,
): Promise<Measurement> {
  const way = (which: string) => () => {
    const ms = quick ? 400 : 3_000
    const question: DevicesQuestion = { model: `${name}-${which}`, input, shape: [1, length], ms }
    return worker.ask<DevicesAnswer>(question)
  }
  const rounds = { rounds: quick ? 2 : 5, warmUps: 1 }
  const { together, alone } = await alternate({ together: way('together'), alone: way('alone') }, rounds)
  const largest = [...together, ...alone].map((one) => one.largest)
  // Sums in another order differ in their last digits.
  if (Math.max(...largest) > Math.min(...largest) * 1.001)
    throw new Error(`${name}: the answers differ with and without batches`)
  const rate = (runs: readonly DevicesAnswer[]) =>
    median(runs.map(({ answers, seconds }) => answers / seconds))
  const latency = (runs: readonly DevicesAnswer[]) => {
    const all = runs.flatMap(({ latencyMs }) => latencyMs)
    return `p50 ${median(all).toFixed(1)} ms, p95 ${quantile(all, 0.95).toFixed(1)} ms`
  }
  const [one, many] = [await bareRows(path, input, length, 1), await bareRows(path, input, length, devices)]
  return {
    name: `gateway.batching.${name}`,
    value: rate(together),
    unit: 'answers/s',
    baseline: rate(alone),
    against: 'the same model without batches, behind the same gateway',
    ...(budget && { budget }),
    limit,
    note:
      `${devices} devices over MQTT, each with one request at a time, one engine of one thread; with batches ${latency(together)}; ` +
      `without ${latency(alone)}; bare onnxruntime-node in one process, without any gateway: ${Math.round(one)} rows/s one by one, ` +
      `${Math.round(many)} by ${devices}, which is ${(many / one).toFixed(1)} ×: what the model allows`,
  }
}

/** Rows a second of the bare model, so many at a time. */
async function bareRows(path: string, input: string, length: number, rows: number): Promise<number> {
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  const feeds = { [input]: new Tensor('float32', new Float32Array(rows * length).fill(0.5), [rows, length]) }
  try {
    for (let n = 0; n < 3; n += 1) await session.run(feeds)
    const startMs = performance.now()
    let runs = 0
    for (; performance.now() - startMs < 300; runs += 1) await session.run(feeds)
    return (runs * rows * 1000) / (performance.now() - startMs)
  } finally {
    await session.release()
  }
}

/** `layers` products with square weights and ReLU. The weights are expanded when the graph is loaded: the file stays small. */
function perceptron(): Uint8Array {
  const names = ['x', ...Array.from({ length: layers }, (_, n) => `h${n}`)]
  return onnxModel({
    inputs: [value('x', 'FP32', ['n', width])],
    outputs: [value(`h${layers - 1}`, 'FP32', ['n', width])],
    nodes: names
      .slice(0, -1)
      .flatMap((from, n) => [
        node('Expand', [`w${n}`, 'square'], [`weights${n}`]),
        node('MatMul', [from, `weights${n}`], [`sum${n}`]),
        node('Relu', [`sum${n}`], [`h${n}`]),
      ]),
    constants: [
      ints('square', [2], [width, width]),
      // Of each layer others: equal ones would be kept once.
      ...Array.from({ length: layers }, (_, n) => floats(`w${n}`, [1, 1], [(1 + n / 100) / width])),
    ],
  })
}

function put(folder: string, name: string, path: string, more: string): void {
  const home = join(folder, 'models', name)
  mkdirSync(home, { recursive: true })
  copyFileSync(path, join(home, 'model.onnx'))
  writeFileSync(join(home, 'model.yaml'), `file: model.onnx\nmemoryMb: 100\n${more}\n`)
}

function openGateway(folder: string, signal: AbortSignal): Promise<Gateway> {
  const inference = { folders: [join(folder, 'models')], workers: 1, threads: 1 }
  const section = { stateDir: join(folder, 'state'), mqtt: { port: 0 }, http: { port: 0 }, inference }
  return Gateway.open(
    { clock: realClock, log: silentLog, version: '0', dashboard: join(folder, 'none') },
    loadConfig(section, 'gateway', {}),
    signal,
  )
}
