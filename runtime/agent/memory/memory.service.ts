/** `memory.*`: what an agent asks of its memory. Each agent has its own, and nothing here reaches another's. */
import * as v from 'valibot'
import { type Clock, sleep } from '../../base/clock.ts'
import { strictest } from '../../wire/infer.ts'
import type { Json } from '../contract.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import type { Embed } from './embedding.ts'
import { MemoryError, memoryLimits } from './limits.ts'
import type { MemoryStore } from './memory-store.ts'
import { search } from './search.ts'

export interface MemoryServiceDeps {
  readonly clock: Clock
  readonly store: MemoryStore
  /** Absent: search goes by words. */
  readonly embed?: Embed | undefined
}

const text = v.pipe(v.string(), v.minLength(1))
const labels = {
  privacy: v.optional(v.picklist(['device', 'site', 'cloud']), 'device'),
  about: v.optional(text),
}
const json = v.custom<Json>((value) => value !== undefined, 'there is no value')
const keyed = v.object({ key: text })
const schemas = {
  'memory.get': keyed,
  'memory.delete': keyed,
  'memory.set': v.object({ key: text, value: json, ...labels }),
  'memory.keys': v.object({ prefix: v.string() }),
  'memory.note': v.object({ text, ...labels }),
  'memory.search': v.object({
    text: v.pipe(text, v.maxBytes(memoryLimits.textBytesMax)),
    most: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(memoryLimits.foundMax)), 5),
  }),
  'memory.forget': v.object({ about: text }),
}
type MemoryOp = keyof typeof schemas
const ops = Object.keys(schemas) as MemoryOp[]
type Checked = { [Op in MemoryOp]: { op: Op; args: v.InferOutput<(typeof schemas)[Op]> } }[MemoryOp]

/** Clearing the file of what agents forget holds up the device: so often at most. */
const clearEveryMs = 60_000

export function memoryService(given: MemoryServiceDeps): Service {
  const deps = { ...given, cleared: clearing(given) }
  return {
    ops,
    async perform(performing, signal) {
      const { op, args } = performing.call
      const parsed = v.safeParse(schemas[op as MemoryOp], args)
      if (!parsed.success) {
        const [issue] = parsed.issues
        return failed('bad-request', `${op}: ${v.getDotPath(issue) ?? 'what it was given'}: ${issue.message}`)
      }
      try {
        return await answer(deps, { op, args: parsed.output } as Checked, performing, signal)
      } catch (error) {
        if (error instanceof MemoryError) return failed(error.code, `${op}: ${error.message}`)
        throw error
      }
    },
  }
}

async function answer(
  { clock, store, embed, cleared }: MemoryServiceDeps & { readonly cleared: () => Promise<void> },
  { op, args }: Checked,
  { caller, call, askedMs }: Performing,
  signal: AbortSignal,
): Promise<Outcome> {
  const { agent } = caller
  // Ids begin anew with each run of an agent; the instant it asked at does not come again.
  const writer = { agent, call: `${call.id}@${askedMs}` }
  switch (op) {
    case 'memory.get': {
      const found = store.get(agent, args.key)
      return found ? { ok: true, value: found.value, privacy: found.privacy } : { ok: true, privacy: 'cloud' }
    }
    case 'memory.keys':
      return { ok: true, value: store.keys(agent, args.prefix), privacy: 'device' }
    case 'memory.search': {
      const found = await search(store, embed, { agent, ...args }, signal)
      const privacy = strictest('cloud', ...found.map((episode) => episode.privacy))
      return { ok: true, value: found as unknown as Json, privacy }
    }
    case 'memory.set':
      store.set(writer, args.key, args.value, args)
      break
    case 'memory.delete':
      store.delete(writer, args.key)
      break
    case 'memory.note': {
      const id = store.note(writer, args.text, args, clock.nowMs())
      await store.durable()
      return { ok: true, value: id, privacy: 'cloud' }
    }
    case 'memory.forget': {
      const went = await store.forget(writer, args.about)
      await leftAt(cleared(), signal)
      await store.durable()
      return { ok: true, value: went, privacy: 'cloud' }
    }
  }
  await store.durable()
  return { ok: true, privacy: 'cloud' }
}

/** What gives the next clearing of the file: one for all who wait for it. */
function clearing({ clock, store }: MemoryServiceDeps): () => Promise<void> {
  let nextMs = Number.NEGATIVE_INFINITY
  let next: Promise<void> | undefined
  const clear = async () => {
    const waitMs = nextMs - clock.monotonicMs()
    // Whoever asks meanwhile is covered, also where there is nothing to wait for.
    await (waitMs > 0 ? sleep(clock, waitMs, store.closing) : undefined)
    next = undefined
    nextMs = clock.monotonicMs() + clearEveryMs
    await store.clear()
  }
  return () => {
    next ??= clear()
    return next
  }
}

/** Settles as `work` does, or rejects when the signal aborts first; `work` goes on. */
async function leftAt(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const gone = Promise.withResolvers<never>()
  const onAbort = () => gone.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    await Promise.race([work, gone.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    work.catch(() => {})
  }
}
