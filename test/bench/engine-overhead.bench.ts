/** What the engine process costs: a request through supervisor, pipe and engine beside the same run on bare onnxruntime-node. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { pooledModel } from '../fixtures/onnx.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import { median, quantile } from './quantiles.ts'

/** A picture of 320 × 320 × 3 floats. */
const large = 300_000
const small = 16
/** What a tiny model may take more than bare, microseconds, and a model of 5 ms and more, as a share. */
const tinyUsMax = 250
const slowRatioMax = 1.1
const slowMs = 6

interface Case {
  readonly rounds: number
  readonly length: number
}
type Run = (one: Case) => Promise<void>

export const engineOverhead: Benchmark = {
  name: 'engine.overhead',
  async run(context) {
    const folder = await mkdtemp(join(tmpdir(), 'bench-engine-'))
    try {
      const path = join(folder, 'pooled.onnx')
      await writeFile(path, pooledModel())
      return await measured(path, context)
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function measured(path: string, { quick, signal }: BenchmarkContext): Promise<Measurement[]> {
  const log = createLog({ level: 'error', json: false, write: () => {}, nowMs: () => 0 })
  const models = [{ name: 'pooled', pipeline: 'tensor', files: { model: path } }]
  await using supervisor = await EngineSupervisor.open(
    { clock: realClock, log },
    { models, start: 'eager' },
    signal,
  )
  const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 })
  try {
    const engine: Run = (one) => throughEngine(supervisor, one, signal)
    const bare: Run = (one) => onBare(session, one)
    const rounds = await roundsFor(bare, slowMs)
    const cases = [0, rounds].flatMap((count) => [small, large].map((length) => ({ rounds: count, length })))
    const results: Measurement[] = []
    for (const one of cases) results.push(await compared(one, engine, bare, quick))
    return results
  } finally {
    await session.release()
  }
}

async function compared(one: Case, engine: Run, bare: Run, quick: boolean): Promise<Measurement> {
  const times = (one.rounds > 0 ? 60 : one.length === small ? 1500 : 400) * (quick ? 1 : 4)
  const some = (run: Run) => async () => {
    const ms: number[] = []
    for (let at = 0; at < times / 5; at += 1) {
      const startMs = performance.now()
      await run(one)
      ms.push(performance.now() - startMs)
    }
    return ms
  }
  const ways = await alternate({ engine: some(engine), bare: some(bare) }, { rounds: 5, warmUps: 1 })
  return measurement(one, ways.engine.flat(), ways.bare.flat())
}

function measurement(one: Case, engineMs: readonly number[], bareMs: readonly number[]): Measurement {
  const tiny = one.rounds === 0
  const perMs = tiny ? 1000 : 1
  const baseline = median(bareMs) * perMs
  const addedUs = ((median(engineMs) - median(bareMs)) * 1000).toFixed(0)
  return {
    name: `engine.overhead-${tiny ? 'tiny' : 'slow'}-${one.length === small ? 'small' : '1.2MB'}`,
    value: median(engineMs) * perMs,
    unit: tiny ? 'µs' : 'ms',
    baseline,
    against: 'the median run on bare onnxruntime-node in this process',
    budget: tiny
      ? { of: 'value', max: Math.round(baseline) + tinyUsMax }
      : { of: 'ratio', max: slowRatioMax },
    limit: limitOf(one),
    note:
      `the promise: ${tiny ? `${tinyUsMax} µs more than the baseline` : 'a tenth more than the baseline'}; ` +
      `adds ${addedUs} µs to the median; p50 and p95: engine ${spread(engineMs)}, bare ${spread(bareMs)} ms`,
  }
}

function limitOf({ rounds, length }: Case): string {
  if (length !== small)
    return 'the socket: bare, 1.2 MB take some 250 µs from process to process; then the look for NaN'
  const wakes = 'two wake-ups of another process'
  return rounds === 0
    ? wakes
    : `${wakes}, and caches that the run has emptied: the same way takes twice as long`
}

const spread = (ms: readonly number[]) => `${median(ms).toFixed(3)} and ${quantile(ms, 0.95).toFixed(3)}`

/** Rounds of work that make a bare run at least `ms` long. */
async function roundsFor(bare: Run, ms: number): Promise<number> {
  for (let rounds = 64; ; rounds *= 1.3) {
    const one = { rounds: Math.round(rounds), length: small }
    const taken: number[] = []
    for (let at = 0; at < 7; at += 1) {
      const startMs = performance.now()
      await bare(one)
      taken.push(performance.now() - startMs)
    }
    if (Math.min(...taken) >= ms) return one.rounds
  }
}

async function throughEngine(supervisor: EngineSupervisor, one: Case, signal: AbortSignal): Promise<void> {
  const inputs: Tensor[] = [
    { name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(one.rounds)) },
    { name: 'x', datatype: 'FP32', shape: [one.length], data: new Float32Array(one.length) },
  ]
  const request = {
    model: 'pooled',
    priority: 'interactive',
    deadlineMs: 10_000,
    privacy: 'device',
    inputs,
  } as const
  let answered = false
  for await (const { outputs } of supervisor.infer(request, signal)) answered = outputs[0]?.data.length === 1
  if (!answered) throw new Error('the engine gave no answer')
}

async function onBare(session: InferenceSession, one: Case): Promise<void> {
  const { y } = await session.run({
    rounds: new OrtTensor('int64', BigInt64Array.of(BigInt(one.rounds)), []),
    x: new OrtTensor('float32', new Float32Array(one.length), [one.length]),
  })
  if (y?.data.length !== 1) throw new Error('bare onnxruntime gave no answer')
}
