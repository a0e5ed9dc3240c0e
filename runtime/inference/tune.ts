/**
 * Measures how a model runs on this very machine with more threads and more engines, within what the machine allows. Requests
 * are made of noise in the shape that the model takes: what is measured is time.
 */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { EngineModel, TensorSpec } from '../wire/engine-protocol.ts'
import type { Tensor } from '../wire/infer.ts'
import { EnginePool } from './supervisor/engine-pool.ts'

export interface Candidate {
  readonly workers: number
  readonly intraOpThreads: number
}

export interface Measured extends Candidate {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly perS: number
}

/** More threads than this help no model that fits a board. */
const threadsMax = 8
const warmRuns = 3
/** A run that takes longer is no model for this machine. */
const runMsMax = 60_000
/** A second of sound, a small picture: for dimensions of any length. */
const soundSamples = 16_000
const pictureSide = 224

/** One engine with 1, 2, 4, … and all of `usable` cores as threads; as many engines of one thread. */
export function candidates(usable: number): Candidate[] {
  const steps = new Set<number>()
  for (let count = 1; count < Math.min(usable, threadsMax); count *= 2) steps.add(count)
  steps.add(Math.min(usable, threadsMax))
  const counts = [...steps]
  return [
    ...counts.map((intraOpThreads) => ({ workers: 1, intraOpThreads })),
    ...counts.filter((workers) => workers > 1).map((workers) => ({ workers, intraOpThreads: 1 })),
  ]
}

/** Little more than this share of the best counts as equal: then fewer cores win. */
const equalShare = 0.1

/** The best of what was measured; undefined of nothing. */
export function bestOf(list: readonly Measured[], aim: 'latency' | 'throughput'): Measured | undefined {
  const cost = (one: Measured) => (aim === 'latency' ? one.p50Ms : 1 / one.perS)
  const eligible = aim === 'latency' ? list.filter(({ workers }) => workers === 1) : list
  const least = Math.min(...eligible.map(cost))
  return eligible
    .filter((one) => cost(one) <= least * (1 + equalShare))
    .sort((a, b) => a.workers * a.intraOpThreads - b.workers * b.intraOpThreads)[0]
}

/** Keeps as many requests under way as there are engines for `forMs`. Throws InferError. */
export async function measure(
  deps: { readonly clock: Clock; readonly log: Log; readonly entry: string },
  model: EngineModel,
  inputs: readonly TensorSpec[],
  { workers, intraOpThreads }: Candidate,
  forMs: number,
  signal: AbortSignal,
): Promise<Measured> {
  const { clock, log, entry } = deps
  const options = { entry, models: [model], workers, intraOpThreads }
  await using pool = await EnginePool.open({ clock, log }, options, signal)
  const request = {
    model: model.name,
    priority: 'interactive',
    deadlineMs: runMsMax,
    privacy: 'device',
    inputs: inputs.map((spec) => noise(spec, clock)),
  } as const
  const run = async () => {
    const startMs = clock.monotonicMs()
    for await (const _ of pool.infer(request, signal));
    return clock.monotonicMs() - startMs
  }
  const each = Array.from({ length: workers })
  for (let count = 0; count < warmRuns; count += 1) await Promise.all(each.map(run))
  const times: number[] = []
  const startMs = clock.monotonicMs()
  await Promise.all(
    each.map(async () => {
      while (clock.monotonicMs() - startMs < forMs) times.push(await run())
    }),
  )
  const seconds = (clock.monotonicMs() - startMs) / 1000
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0
  return { workers, intraOpThreads, p50Ms: at(0.5), p95Ms: at(0.95), perS: times.length / seconds }
}

function noise({ name, datatype, shape }: TensorSpec, clock: Clock): Tensor {
  const lengths = shape.map((length, axis) =>
    typeof length === 'number' ? length : lengthFor(shape, axis, datatype),
  )
  const count = lengths.reduce((product, length) => product * length, 1)
  if (datatype === 'BYTES')
    return { name, datatype, shape: lengths, data: Array<string>(count).fill('turn on the lamp') }
  const types = {
    BOOL: Uint8Array,
    UINT8: Uint8Array,
    INT8: Int8Array,
    INT16: Int16Array,
    INT32: Int32Array,
    FP32: Float32Array,
    FP64: Float64Array,
  } as const
  if (datatype === 'INT64') return { name, datatype, shape: lengths, data: new BigInt64Array(count).fill(1n) }
  const isWhole = datatype !== 'FP32' && datatype !== 'FP64'
  const data = new types[datatype](count)
  for (let at = 0; at < count; at += 1) data[at] = isWhole ? Math.floor(2 * clock.random()) : clock.random()
  return { name, datatype, shape: lengths, data } as Tensor
}

/** A dimension of any length: a batch of one, the side of a picture, or a second of sound. */
function lengthFor(shape: TensorSpec['shape'], axis: number, datatype: TensorSpec['datatype']): number {
  const isPicture = shape.length >= 3 && datatype !== 'INT64'
  if (isPicture && !(axis === 0 && shape.length === 4)) return pictureSide
  const isSound = datatype === 'FP32' && axis === shape.length - 1 && shape.length <= 2
  return isSound ? soundSamples : 1
}
