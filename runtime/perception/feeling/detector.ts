/**
 * Feels for one machine: a row of its numbers each period, kept as history; the last rows as a window to a model that knows
 * how it normally behaves; several windows that it does not know make an anomaly. The model's own limit was chosen from a
 * false-alarm budget when it was trained (`scripts/models/train-anomaly.py`).
 */
import type { Component } from '../../../hal/contract/component.ts'
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { InferError, type Inference } from '../../inference/inference.ts'
import type { EntityRegistry } from '../../things/registry.ts'
import { type InferChunk, type Privacy, strictest } from '../../wire/infer.ts'
import { Presence } from '../agreement.ts'
import { labelOf, MadeSensor } from '../made-sensor.ts'
import type { HistoryFile } from './history-file.ts'
import { numberOf, Sampling } from './sampling.ts'
import { Window } from './window.ts'

export interface DetectorOptions {
  readonly id: string
  readonly name: string
  readonly area?: string
  readonly channels: readonly string[]
  readonly everyMs: number
  /** Absent: history is recorded, nothing is judged. */
  readonly model?: string
  readonly windowRows: number
  readonly need: number
  readonly of: number
  readonly privacy: Privacy
  readonly simulated: boolean
}

export interface Felt {
  readonly source: string
  readonly state: 'on' | 'off'
  /** Score over the model's limit: above 1 is abnormal. */
  readonly level: number
  /** The channel that deviates most. */
  readonly channel: string
  readonly privacy: Privacy
}

interface Deps {
  readonly clock: Clock
  readonly log: Log
  readonly inference: Inference
  readonly registry: EntityRegistry
  readonly history: HistoryFile
  readonly onFelt: (felt: Felt) => void
}

export interface DetectorCounts {
  /** Periods that have passed. */
  rows: number
  /** Windows that were judged. */
  judged: number
  /** Windows that were not, because numbers were missing. */
  incomplete: number
  /** Windows that were not, because the one before was still being judged. */
  skipped: number
  failures: number
}

/** A dense network of some thousand weights takes well under a millisecond. */
const judgeMsMax = 5_000
/** An alarm ends only below this share of the limit: what hovers at the limit does not flap. */
export const clearShare = 0.8
/** A sensor that has said nothing for so long is taken for silent: those that report changes only may be quiet for minutes. */
const staleMsMin = 600_000
const stalePeriods = 5

export class Detector implements AsyncDisposable {
  readonly components: readonly Component[]
  readonly #deps: Deps
  readonly #options: DetectorOptions
  readonly #sensor: MadeSensor | undefined
  readonly #staleMs: number
  readonly #sampling: Sampling
  readonly #window: Window
  readonly #presence: Presence
  readonly #counts: DetectorCounts = { rows: 0, judged: 0, incomplete: 0, skipped: 0, failures: 0 }
  readonly #stop = new AbortController()
  #stopReports: Cancel = () => {}
  #running: Promise<void> = Promise.resolve()
  #judging: Promise<void> | undefined
  #missing: readonly string[] = []
  #problem: string | undefined
  #lastRowMs = Number.NEGATIVE_INFINITY

  private constructor(deps: Deps, options: DetectorOptions) {
    this.#deps = deps
    this.#options = options
    const { channels, everyMs, windowRows, need, of } = options
    this.#sensor = options.model === undefined ? undefined : sensorOf(deps.clock, options)
    this.components = this.#sensor ? [this.#sensor] : []
    this.#staleMs = Math.max(staleMsMin, stalePeriods * everyMs)
    this.#sampling = new Sampling(channels, this.#staleMs)
    this.#window = new Window(windowRows, channels.length)
    this.#presence = new Presence({ need, of, offAfterMs: 0 })
  }

  /** Returns at once; it feels until it is disposed. */
  static open(deps: Deps, options: DetectorOptions): Detector {
    const detector = new Detector(deps, options)
    const { registry, clock } = deps
    for (const id of options.channels) {
      const entity = registry.get(id)
      if (entity) detector.#sampling.hold(id, entity.telemetry, clock.monotonicMs())
    }
    detector.#stopReports = registry.onReport(({ info, telemetry }) =>
      detector.#sampling.take(info.id, telemetry, clock.monotonicMs()),
    )
    detector.#running = detector.#run(detector.#stop.signal)
    return detector
  }

  get counts(): Readonly<DetectorCounts> {
    return this.#counts
  }

  get problems(): string[] {
    const { channels, id } = this.#options
    const unknown = channels.filter((channel) => !this.#deps.registry.get(channel))
    const silent = this.#missing.filter((channel) => !unknown.includes(channel))
    return [
      ...unknown.map((channel) => `there is no entity ${channel}`),
      ...silent.map((channel) => `${channel} ${this.#silence(channel)}`),
      this.#problem,
      this.#deps.history.problem,
    ]
      .filter((line) => line !== undefined)
      .map((line) => `feeling ${id}: ${line}`)
  }

  /** Why a channel that there is has no number. */
  #silence(channel: string): string {
    const state = this.#deps.registry.get(channel)?.telemetry.state ?? ''
    if (!Number.isFinite(numberOf(state))) return 'gives no numbers'
    return `has reported nothing for over ${Math.round(this.#staleMs / 60_000)} minutes`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#stopReports()
    await this.#running
    await this.#judging
    await this.#deps.history[Symbol.asyncDispose]()
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    const { everyMs } = this.#options
    for (let due = clock.monotonicMs() + everyMs; ; due = Math.max(due + everyMs, clock.monotonicMs())) {
      await sleep(clock, due - clock.monotonicMs(), signal).catch(() => {})
      if (signal.aborted) return
      this.#period(signal)
    }
  }

  #period(signal: AbortSignal): void {
    const { clock, history } = this.#deps
    const { everyMs, model } = this.#options
    const row = this.#sampling.row(clock.monotonicMs())
    const tsMs = clock.nowMs()
    history.append({ tsMs, values: row })
    this.#counts.rows += 1
    if (tsMs - this.#lastRowMs > 2 * everyMs || tsMs < this.#lastRowMs) this.#window.clear()
    this.#lastRowMs = tsMs
    this.#window.push(row)
    this.#missing = this.#options.channels.filter((_, at) => !Number.isFinite(row[at]))
    if (model === undefined) return
    const content = this.#window.content()
    if (content.ok) this.#judgeNext(model, content.data, signal)
    else if (content.missing.length > 0) this.#lose(() => (this.#counts.incomplete += 1))
  }

  /** History goes on while a slow model judges: the windows in between are left out. */
  #judgeNext(model: string, data: Float32Array, signal: AbortSignal): void {
    if (this.#judging) {
      this.#counts.skipped += 1
      return
    }
    this.#judging = this.#judge(model, data, signal).finally(() => {
      this.#judging = undefined
    })
  }

  async #judge(model: string, data: Float32Array, signal: AbortSignal): Promise<void> {
    const { channels, windowRows } = this.#options
    const privacy = this.#label()
    const shape = [1, windowRows, channels.length]
    const request = {
      model,
      privacy,
      priority: 'background',
      deadlineMs: judgeMsMax,
      inputs: [{ name: 'window', datatype: 'FP32', shape, data }],
    } as const
    try {
      for await (const chunk of this.#deps.inference.infer(request, signal))
        if (chunk.final) this.#take(verdictOf(chunk, channels.length), privacy)
      this.#problem = undefined
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof InferError)) throw error
      this.#lose(() => {
        this.#counts.failures += 1
        if (this.#problem === undefined)
          this.#deps.log.warn('a window was not judged', {
            machine: this.#options.id,
            reason: messageOf(error),
          })
        this.#problem = messageOf(error)
      })
    }
  }

  #take({ level, worst }: { readonly level: number; readonly worst: number }, privacy: Privacy): void {
    const { id, channels } = this.#options
    this.#counts.judged += 1
    const over = level > (this.#presence.state === 'on' ? clearShare : 1)
    const channel = channels[worst] ?? ''
    const changed = this.#presence.look(over, this.#deps.clock.monotonicMs())
    const { state } = this.#presence
    const shown = Math.round(level * 100) / 100
    if (changed) this.#deps.onFelt({ source: id, state: changed, level: shown, channel, privacy })
    if (state && (changed || this.#sensor?.current().state !== state))
      this.#sensor?.report(state, state === 'on' ? { level: shown, channel, privacy } : { privacy })
  }

  /** A channel may itself be made, of what is more private than its numbers are here. */
  #label(): Privacy {
    const { channels, privacy } = this.#options
    const labels = channels
      .map((id) => this.#deps.registry.get(id))
      .map((one) => one && labelOf(one.telemetry))
    return strictest(privacy, ...labels.filter((label) => label !== undefined))
  }

  /** Nothing can be said now: neither that all is well. */
  #lose(count: () => void): void {
    count()
    this.#presence.reset()
    this.#sensor?.report('unavailable')
  }
}

function sensorOf(clock: Clock, { id, name, area, simulated }: DetectorOptions): MadeSensor {
  return new MadeSensor(clock, {
    id: `binary_sensor.${id}_anomaly`,
    kind: 'binary_sensor',
    name: `${name}: anomaly`,
    ...(area === undefined ? {} : { area }),
    deviceClass: 'problem',
    simulated,
  })
}

/** The model's answer: `score` and `limit` FP32 [1], `channel` FP32 [channels]. Throws InferError. */
function verdictOf(chunk: InferChunk, channels: number): { readonly level: number; readonly worst: number } {
  const numbers = (name: string, length: number): Float32Array => {
    const tensor = chunk.outputs.find((each) => each.name === name)
    if (tensor?.datatype === 'FP32' && tensor.data.length === length && tensor.data.every(Number.isFinite))
      return tensor.data
    throw new InferError('run', `the model's answer has no FP32 output ${name} of ${length} numbers`)
  }
  const deviations = numbers('channel', channels)
  const [score = 0] = numbers('score', 1)
  const [limit = 0] = numbers('limit', 1)
  if (limit <= 0) throw new InferError('run', `the model's limit is ${limit}; expected more than 0`)
  return { level: score / limit, worst: deviations.indexOf(Math.max(...deviations)) }
}
