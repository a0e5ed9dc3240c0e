/**
 * An accelerator's adapter as a place where the router may send a request: models of tensors that are here in a format that
 * the adapter takes. A file's role names its format; the role `model` is ONNX. What the adapter cannot do any more the CPU
 * behind it does (`hal/accelerators/fallback.ts`).
 */
import type { Accelerator, AcceleratorHealth } from '../../hal/contract/accelerator.ts'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import {
  type InferChunk,
  InferError,
  type InferErrorCode,
  type InferRequest,
  type Tensor,
} from '../wire/infer.ts'
import type { Route, RouteOffer, RouteRefusal } from './router/route.ts'
import type { ServedModel, ServedModels } from './served-models.ts'
import { ModelTimes } from './supervisor/model-times.ts'

/** How old what is known of the adapter may be, milliseconds. */
const knownMsMax = 2_000
/** Models loaded on one adapter at once: it is told to forget the one that was asked for longest ago. */
const loadedMax = 8
/** Compiled models are read and sent to the chip. */
const unknownLoadMs = 1_000

interface Loaded {
  readonly ready: Promise<unknown>
  /** Which files, and which content of them. */
  readonly id: string
  readonly times: ModelTimes
  done: boolean
}

export class AcceleratorRoute implements Route {
  readonly id: string
  readonly reach = 'device'
  readonly #clock: Clock
  readonly #accelerator: Accelerator
  readonly #served: ServedModels
  readonly #loaded = new Map<string, Loaded>()
  #formats: readonly string[] = []
  #health: AcceleratorHealth | undefined
  #askedMs = Number.NEGATIVE_INFINITY
  #running = 0

  constructor(deps: { readonly clock: Clock; readonly served: ServedModels }, accelerator: Accelerator) {
    this.id = `accelerator/${accelerator.id}`
    this.#clock = deps.clock
    this.#served = deps.served
    this.#accelerator = accelerator
  }

  offer(name: string): RouteOffer | RouteRefusal {
    this.#look()
    const model = this.#served.get(name)
    if (!model) return refusal(this.#served.whyNot(name), 'model-unknown')
    if (!this.#health) return refusal('it was not heard yet')
    if (this.#health.state !== 'ok') return refusal(this.#health.reason ?? `it is ${this.#health.state}`)
    const files = this.#filesOf(model)
    if (!files)
      return refusal(`it takes ${this.#formats.join(', ')}; ${name} is not here as that`, 'model-unknown')
    const loaded = this.#loaded.get(name)
    const ms = loaded?.times.quantiles()
    return {
      usable: true,
      queueMs: this.#running * (ms?.p50 ?? 0),
      loadMs: loaded?.done ? 0 : unknownLoadMs,
      ...(ms === undefined ? {} : { modelMs: ms.p95 }),
      price: 0,
      idempotent: model.idempotent,
    }
  }

  async *infer(
    request: Omit<InferRequest, 'id'>,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const { model, inputs, deadlineMs } = request
    const startMs = this.#clock.monotonicMs()
    this.#running += 1
    try {
      const { ready, times } = this.#load(model)
      await ready
      signal.throwIfAborted()
      const leftMs = deadlineMs - (this.#clock.monotonicMs() - startMs)
      if (leftMs <= 0) throw new InferError('deadline', `${model} did not load in time`, { retryable: true })
      const runMs = this.#clock.monotonicMs()
      const outputs = await this.#accelerator.run(model, inputs, { deadlineMs: leftMs }, signal)
      const modelMs = this.#clock.monotonicMs() - runMs
      times.add(modelMs)
      const id = this.#clock.newId()
      // Datatypes that the envelope has not are no outputs of a model that is served here.
      yield { id, final: true, outputs: outputs as readonly Tensor[], modelMs, route: this.id }
    } catch (error) {
      if (signal.aborted) throw new InferError('cancelled', 'cancelled by its caller')
      throw asInferError(error)
    } finally {
      this.#running -= 1
    }
  }

  #load(name: string): Loaded {
    const model = this.#served.get(name)
    const files = model && this.#filesOf(model)
    if (!files) throw new InferError('model-unknown', this.#served.whyNot(name))
    const id = `${model.revision} ${JSON.stringify(files)}`
    const before = this.#loaded.get(name)
    // The one asked for last is at the end.
    this.#loaded.delete(name)
    if (before?.id === id) {
      this.#loaded.set(name, before)
      return before
    }
    // One model's load hangs on nobody's patience: all who wait for it have deadlines of their own.
    const { signal } = new AbortController()
    // One of the same name and paths would stay as it is.
    const gone = before ? this.#accelerator.unload(name, signal).catch(() => {}) : Promise.resolve()
    const ready = gone.then(() => this.#accelerator.load({ name, files }, signal))
    const entry: Loaded = { ready, id, times: new ModelTimes(), done: false }
    ready.then(
      () => {
        entry.done = true
      },
      () => {
        if (this.#loaded.get(name) === entry) this.#loaded.delete(name)
      },
    )
    this.#loaded.set(name, entry)
    this.#forgetOldest()
    return entry
  }

  #forgetOldest(): void {
    const [oldest] = this.#loaded.keys()
    if (oldest === undefined || this.#loaded.size <= loadedMax) return
    this.#loaded.delete(oldest)
    this.#accelerator.unload(oldest, new AbortController().signal).catch(() => {})
  }

  /** Files by format; undefined where none is one that it takes. */
  #filesOf({ engine }: ServedModel): Readonly<Record<string, string>> | undefined {
    if (engine.pipeline !== 'tensor') return undefined
    const files = Object.entries(engine.files).map(([role, path]) => [role === 'model' ? 'onnx' : role, path])
    if (!files.some(([format]) => this.#formats.includes(format as string))) return undefined
    return Object.fromEntries(files)
  }

  /** Looks at the adapter behind whoever asks; what is found counts from the next time. */
  #look(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#askedMs < knownMsMax) return
    this.#askedMs = nowMs
    void this.#refresh().catch((error) => {
      this.#health = { state: 'failed', reason: messageOf(error), restarts: 0, models: [] }
    })
  }

  async #refresh(): Promise<void> {
    const health = await this.#accelerator.health()
    if (health.state === 'ok' && this.#formats.length === 0)
      this.#formats = (await this.#accelerator.capabilities(new AbortController().signal)).formats
    this.#health = health
  }
}

function refusal(whyNot: string, code?: InferErrorCode): RouteRefusal {
  return { usable: false, whyNot, ...(code === undefined ? {} : { code }) }
}

/** Accelerators throw the codes of the envelope. */
function asInferError(error: unknown): unknown {
  if (error instanceof InferError) return error
  const { code, retryable } = error as { code?: unknown; retryable?: unknown }
  if (typeof code !== 'string') return error
  return new InferError(code as InferErrorCode, messageOf(error), {
    retryable: retryable === true,
    cause: error,
  })
}
