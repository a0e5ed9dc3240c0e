/** Search in what an agent remembers: by words always, by meaning also where the device has a model for it. */
import type { Episode } from '../contract.ts'
import { type Embed, quantized } from './embedding.ts'
import { memoryLimits } from './limits.ts'
import type { MemoryStore } from './memory-store.ts'

/** Looked at by each way of searching, best first. */
const candidatesMax = 64
/** Vectors made at one search, newest texts first: a device that just got its model catches up in some searches. */
const vectorsPerSearch = 32
/** Of a vector, many times what sentence models give: vectors are not counted in what an agent may keep. */
const dimensionsMax = 4_096
/** All that is found together, so that it fits into one answer. */
const answerBytesMax = 96 * 1024

/**
 * At most `most`, best first. With a model the score is the mean of likeness in meaning and in words (a convex combination:
 * Bruch, Gai and Ingber 2023, "An analysis of fusion functions for hybrid retrieval"), without one that in words alone.
 */
export async function search(
  store: MemoryStore,
  embed: Embed | undefined,
  { agent, text, most }: { readonly agent: string; readonly text: string; readonly most: number },
  signal: AbortSignal,
): Promise<Episode[]> {
  const words = await store.recall.byWords(agent, text, candidatesMax, signal)
  const meant = embed && (await byMeaning(store, embed, agent, text, signal))
  // It may have been forgotten while the model thought.
  const seqs = new Set([...words.keys(), ...(meant?.keys() ?? [])])
  const scored = [...seqs].map((seq) => {
    const word = words.get(seq) ?? 0
    return { seq, score: meant ? ((meant.get(seq) ?? 0) + word) / 2 : word }
  })
  scored.sort((a, b) => b.score - a.score || b.seq - a.seq)
  return shown(store, scored, Math.min(most, memoryLimits.foundMax))
}

function shown(
  store: MemoryStore,
  scored: readonly { readonly seq: number; readonly score: number }[],
  most: number,
): Episode[] {
  const found: Episode[] = []
  let bytes = 0
  for (const { seq, score } of scored) {
    const kept = store.recall.episode(seq)
    if (!kept) continue
    const { text, tsMs, about, privacy } = kept
    const episode = { id: String(seq), text, tsMs, ...(about === undefined ? {} : { about }), privacy, score }
    bytes += Buffer.byteLength(JSON.stringify(episode)) + 1
    if (found.length >= most || bytes > answerBytesMax) break
    found.push(episode)
  }
  return found
}

/** Likeness in meaning by episode, 0 to 1; undefined where the model cannot be asked now. */
async function byMeaning(
  store: MemoryStore,
  embed: Embed,
  agent: string,
  text: string,
  signal: AbortSignal,
): Promise<Map<number, number> | undefined> {
  const missing = store.recall.withoutVector(agent, vectorsPerSearch)
  let asked: Int8Array
  try {
    const [query, ...made] = await embed([text, ...missing.map((one) => one.text)], signal)
    if (!query || query.length > dimensionsMax) return undefined
    asked = quantized(query)
    for (const [at, { seq }] of missing.entries()) {
      const vector = made[at]
      if (vector) store.recall.keepVector(seq, quantized(vector))
    }
  } catch {
    signal.throwIfAborted()
    // Words do, as on a device without the model.
    return undefined
  }
  return await store.recall.byMeaning(agent, asked, candidatesMax, signal)
}
