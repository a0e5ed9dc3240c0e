/** `memory.*`: what an agent asks of its memory. Each agent has its own, and nothing here reaches another's. */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { strictest } from '../../wire/infer.ts'
import type { Json } from '../contract.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import type { Embed } from './embedding.ts'
import { MemoryError, type MemoryStore, memoryLimits } from './memory-store.ts'
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

export function memoryService(deps: MemoryServiceDeps): Service {
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
  { clock, store, embed }: MemoryServiceDeps,
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
      const went = store.forget(writer, args.about)
      await store.durable()
      return { ok: true, value: went, privacy: 'cloud' }
    }
  }
  await store.durable()
  return { ok: true, privacy: 'cloud' }
}
