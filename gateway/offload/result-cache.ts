/**
 * Answers that are kept for the same question: same model, version, inputs and parameters, bit for bit, from the same side of the
 * site's border. Only of models whose
 * manifest says that it may be (`cacheS`), and never of inputs labelled `device`, which a gateway does not take in the first place.
 * Bounded in entries and bytes; what was not asked for longest goes first.
 */
import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../runtime/base/clock.ts'
import { type InferChunk, type InferRequest, type Privacy, strictest } from '../../runtime/wire/infer.ts'
import { tensorBytes } from '../../runtime/wire/offload.ts'

export interface ResultCacheOptions {
  /** Of all answers together. */
  readonly bytesMax: number
  readonly entriesMax: number
  /** A larger answer is not kept: it would push out many. */
  readonly answerBytesMax: number
}

export const resultCacheDefaults: ResultCacheOptions = {
  bytesMax: 64 * 1024 * 1024,
  entriesMax: 10_000,
  answerBytesMax: 4 * 1024 * 1024,
}

export interface ResultCacheStats {
  readonly entries: number
  readonly bytes: number
  readonly hits: number
  readonly misses: number
}

interface Kept {
  /** Without the ids of whoever asked first. */
  readonly chunks: readonly Omit<InferChunk, 'id'>[]
  readonly privacy: Privacy
}

const nothingRan = { failed: [], cached: true, queueMs: 0, runMs: 0 }

/** What decides an answer. */
export type Question = Pick<InferRequest, 'inputs' | 'parameters'>

export class ResultCache {
  readonly #options: ResultCacheOptions
  readonly #kept: LRUCache<string, Kept>
  #hits = 0
  #misses = 0

  constructor(clock: Clock, options: ResultCacheOptions = resultCacheDefaults) {
    this.#options = options
    this.#kept = new LRUCache<string, Kept>({
      max: options.entriesMax,
      maxSize: options.bytesMax,
      maxEntrySize: options.answerBytesMax,
      // lru-cache takes a time of 0 for "no start".
      perf: { now: () => clock.monotonicMs() + 1 },
      ttlResolution: 0,
    })
  }

  /**
   * The answer to the question under `key`, marked `cached`, or undefined. Its label is the stricter of whoever asked first and
   * whoever asks now.
   */
  get(key: string, asker: { readonly id: string; readonly privacy: Privacy }): InferChunk[] | undefined {
    const kept = asker.privacy === 'device' ? undefined : this.#kept.get(key)
    if (!kept) {
      this.#misses += 1
      return undefined
    }
    this.#hits += 1
    const { privacy } = kept
    return kept.chunks.map((chunk) => ({
      ...chunk,
      id: asker.id,
      privacy: strictest(chunk.privacy ?? asker.privacy, privacy, asker.privacy),
      ...(chunk.final && { cached: true }),
      ...(chunk.served && { served: { ...chunk.served, ...nothingRan } }),
    }))
  }

  /** Keeps a whole answer for `cacheS` seconds. False when it is not one to keep: unfinished, too large, or too private. */
  put(key: string, chunks: readonly InferChunk[], privacy: Privacy, cacheS: number): boolean {
    const labels = chunks.map((chunk) => chunk.privacy ?? privacy)
    if (strictest(privacy, ...labels) === 'device' || chunks.at(-1)?.final !== true) return false
    const size = 256 + chunks.reduce((sum, { outputs }) => sum + tensorBytes(outputs), 0)
    if (size > this.#options.answerBytesMax) return false
    const kept = chunks.map(({ id: _, ...chunk }) => chunk)
    this.#kept.set(key, { chunks: kept, privacy }, { size, ttl: cacheS * 1000 })
    return true
  }

  stats(): ResultCacheStats {
    return {
      entries: this.#kept.size,
      bytes: this.#kept.calculatedSize,
      hits: this.#hits,
      misses: this.#misses,
    }
  }
}

/**
 * SHA-256 over a form that no two questions share: every part with its length before it, tensors and parameters in the order of
 * their names.
 */
export function cacheKey(
  model: { readonly name: string; readonly version: string; readonly reach: Privacy },
  asked: Question,
): string {
  const hash = createHash('sha256')
  const part = (bytes: string | Uint8Array) => {
    const length = typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.byteLength
    hash.update(`${length}:`).update(bytes)
  }
  part(model.name)
  part(model.version)
  part(model.reach)
  const inputs = asked.inputs.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  part(String(inputs.length))
  for (const { name, datatype, shape, data } of inputs) {
    part(name)
    part(datatype)
    part(shape.join(','))
    if (ArrayBuffer.isView(data)) part(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    else {
      part(String(data.length))
      for (const text of data) part(text)
    }
  }
  const parameters = Object.entries(asked.parameters ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, value] of parameters) {
    part(name)
    part(typeof value)
    part(String(value))
  }
  return hash.digest('base64url')
}
