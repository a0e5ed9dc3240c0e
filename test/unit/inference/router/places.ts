/** Places for models on a virtual clock: what they offer, how long they take and how they fail is a script. */
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { Redactor } from '../../../../runtime/inference/redaction/redactor.ts'
import type { Route, RouteOffer, RouteRefusal } from '../../../../runtime/inference/router/route.ts'
import { Router, type RouterDeps, type RouterOptions } from '../../../../runtime/inference/router/router.ts'
import {
  type InferChunk,
  InferError,
  type InferRequest,
  type Privacy,
  type Tensor,
} from '../../../../runtime/wire/infer.ts'

export type Request = Omit<InferRequest, 'id'>

type Offered = Partial<RouteOffer> | RouteRefusal

export interface Place {
  readonly id: string
  readonly reach: Privacy
  offer: Offered | ((model: string) => Offered)
  /** Milliseconds until it answers; Infinity: never. */
  takesMs: number | ((request: Request) => number)
  fails: InferError | undefined
  /** What it answers; default: its own id as text, with the time in the model. */
  answer: (request: Request) => AsyncIterable<Partial<InferChunk>> | Partial<InferChunk>
}
export interface Asked {
  readonly place: string
  readonly request: Request
  ended: 'no' | 'answered' | 'cancelled' | 'failed'
}

export function place(id: string, reach: Privacy, more: Partial<Place> = {}): Place {
  return { id, reach, offer: {}, takesMs: 10, fails: undefined, answer: () => ({}), ...more }
}

export const text = (data: string, name = 'text'): Tensor => ({
  name,
  datatype: 'BYTES',
  shape: [1],
  data: [data],
})
export const ask = (more: Partial<Request> = {}): Request => ({
  model: 'm',
  priority: 'interactive',
  deadlineMs: 1000,
  privacy: 'cloud',
  inputs: [{ name: 'x', datatype: 'UINT8', shape: [100], data: new Uint8Array(100) }],
  ...more,
})

export function house(places: readonly Place[], options: RouterOptions = {}, more: Partial<RouterDeps> = {}) {
  const clock = new VirtualClock()
  const asked: Asked[] = []
  const routes = places.map((one) => routeOf(one, clock, asked))
  const router = new Router(
    { clock, log: silentLog, routes: () => routes, redactor: () => new Redactor(), ...more },
    { probeShare: 0, ...options },
  )
  const chunks = async (request: Request, signal = new AbortController().signal) =>
    clock.run(() => Array.fromAsync(router.infer(request, signal)))
  return {
    clock,
    asked,
    router,
    chunks,
    /** The last chunk. */
    async answer(request: Request = ask(), signal?: AbortSignal): Promise<InferChunk> {
      const last = (await chunks(request, signal)).at(-1)
      if (!last) throw new Error('no chunk came')
      return last
    },
    /** The error; throws where there is none. */
    async failure(request: Request = ask(), signal?: AbortSignal): Promise<InferError> {
      const error = await chunks(request, signal).then(
        () => new Error('it did not fail'),
        (reason: unknown) => reason,
      )
      if (error instanceof InferError) return error
      throw error
    },
  }
}

function routeOf(one: Place, clock: VirtualClock, asked: Asked[]): Route {
  return {
    id: one.id,
    reach: one.reach,
    offer: (model) => {
      const offer = typeof one.offer === 'function' ? one.offer(model) : one.offer
      if (offer.usable === false) return offer
      return { usable: true, queueMs: 0, loadMs: 0, price: 0, idempotent: true, ...offer }
    },
    async *infer(request, signal) {
      const mine: Asked = { place: one.id, request, ended: 'no' }
      const takesMs = typeof one.takesMs === 'number' ? one.takesMs : one.takesMs(request)
      asked.push(mine)
      try {
        if (takesMs === Infinity) await never(signal)
        else await sleep(clock, takesMs, signal)
      } catch {
        mine.ended = 'cancelled'
        throw new InferError('cancelled', 'cancelled by its caller')
      }
      if (one.fails) {
        mine.ended = 'failed'
        throw one.fails
      }
      mine.ended = 'answered'
      const answer = one.answer(request)
      const whole = { id: 'x', final: true, outputs: [text(one.id)], modelMs: takesMs }
      if (Symbol.asyncIterator in answer) for await (const chunk of answer) yield { ...whole, ...chunk }
      else yield { ...whole, ...answer }
    },
  }
}

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
