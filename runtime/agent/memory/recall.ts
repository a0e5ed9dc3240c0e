/**
 * What a search reads of the file, in slices of about a millisecond with other work of the device in between, however much agents
 * remember. The index of words is one for all agents: each slice is a range of it, of which only the agent's own count.
 */
import { setImmediate } from 'node:timers/promises'
import type { Privacy } from '../contract.ts'
import { cosine } from './embedding.ts'
import type { Statements } from './statements.ts'
import { quotedWords } from './word-query.ts'

export interface StoredEpisode {
  readonly seq: number
  readonly text: string
  readonly privacy: Privacy
  /** The person it is about. */
  readonly about?: string | undefined
  readonly tsMs: number
}

/** Episodes, of whomever, whose words are looked at without a stop. */
const wordsSlice = 1_024
/** Vectors that are compared without a stop: 64 K numbers, or of the widest ones half a million. */
const vectorsSlice = 128

export class Recall {
  readonly #sql: Statements
  #turn: Promise<void> = Promise.resolve()

  constructor(sql: Statements) {
    this.#sql = sql
  }

  /**
   * Likeness in words, 1 for the best: how rare the words are that an episode shares with the text (inverse document frequency as in
   * BM25: Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", 3.4), among the agent's own.
   */
  async byWords(
    agent: string,
    text: string,
    most: number,
    signal: AbortSignal,
  ): Promise<Map<number, number>> {
    const words = quotedWords(text)
    const own = words.length === 0 ? [] : this.#own(agent)
    const scores = new Map<number, number>()
    for (const word of words) {
      const hits = await this.#hits(word, agent, own, signal)
      const rarity = Math.log(1 + (own.length - hits.length + 0.5) / (hits.length + 0.5))
      for (const seq of hits) scores.set(seq, (scores.get(seq) ?? 0) + rarity)
    }
    const best = bestOf(scores, most)
    const [, first = 1] = best[0] ?? []
    return new Map(best.map(([seq, score]) => [seq, score / first]))
  }

  /** Likeness in meaning, 0 to 1. Vectors that another model made, which tells by their length, are dropped: they are made again. */
  async byMeaning(
    agent: string,
    asked: Int8Array,
    most: number,
    signal: AbortSignal,
  ): Promise<Map<number, number>> {
    let scores = new Map<number, number>()
    let slice = this.vectors(agent, 0)
    while (slice.length > 0) {
      for (const { seq, vector } of slice)
        if (vector.length === asked.length) scores.set(seq, Math.max(0, cosine(asked, vector)))
        else this.#sql.run('DELETE FROM vector WHERE seq = ?', seq)
      scores = new Map(bestOf(scores, most))
      await this.#pause(signal)
      slice = this.vectors(agent, slice.at(-1)?.seq ?? 0)
    }
    return scores
  }

  /** A slice of them, from the one after `after` on. */
  vectors(agent: string, after: number): { readonly seq: number; readonly vector: Int8Array }[] {
    const sql = 'SELECT seq, bytes FROM vector WHERE agent = ? AND seq > ? ORDER BY seq LIMIT ?'
    return this.#sql.all(sql, agent, after, vectorsSlice).map(({ seq, bytes }) => {
      const { buffer, byteOffset, byteLength } = bytes as Uint8Array
      return { seq: Number(seq), vector: new Int8Array(buffer, byteOffset, byteLength) }
    })
  }

  /** The newest first. */
  withoutVector(agent: string, most: number): { readonly seq: number; readonly text: string }[] {
    const missing = 'SELECT seq FROM episode WHERE agent = ? EXCEPT SELECT seq FROM vector WHERE agent = ?'
    const sql = `SELECT seq, text FROM episode WHERE seq IN (SELECT seq FROM (${missing}) ORDER BY seq DESC LIMIT ?)
      ORDER BY seq DESC`
    return this.#sql
      .all(sql, agent, agent, most)
      .map(({ seq, text }) => ({ seq: Number(seq), text: String(text) }))
  }

  /** Of an episode that was erased meanwhile nothing is kept. */
  keepVector(seq: number, vector: Int8Array): void {
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)
    this.#sql.run('INSERT OR REPLACE INTO vector SELECT seq, agent, ? FROM episode WHERE seq = ?', bytes, seq)
  }

  episode(seq: number): StoredEpisode | undefined {
    const row = this.#sql.get('SELECT text, privacy, about, tsMs FROM episode WHERE seq = ?', seq)
    if (!row) return undefined
    const about = row['about'] === null ? {} : { about: String(row['about']) }
    const privacy = row['privacy'] as Privacy
    return { seq, text: String(row['text']), tsMs: Number(row['tsMs']), privacy, ...about }
  }

  #own(agent: string): number[] {
    const sql =
      'SELECT json_group_array(seq) AS seqs FROM (SELECT seq FROM episode WHERE agent = ? ORDER BY seq)'
    return seqsIn(this.#sql.get(sql, agent))
  }

  /** Bounds that are no integers, as numbers are here, the index ignores: it then looks at all of it. */
  async #hits(word: string, agent: string, own: readonly number[], signal: AbortSignal): Promise<number[]> {
    const sql = `SELECT json_group_array(episode.seq) AS seqs FROM words CROSS JOIN episode ON episode.seq = words.rowid
      WHERE words MATCH ? AND words.rowid BETWEEN CAST(? AS INTEGER) AND CAST(? AS INTEGER) AND episode.agent = ?`
    const hits: number[] = []
    for (let at = 0; at < own.length; ) {
      const from = own[at] ?? 0
      const to = from + wordsSlice - 1
      for (const seq of seqsIn(this.#sql.get(sql, word, from, to, agent))) hits.push(seq)
      while ((own[at] ?? Number.POSITIVE_INFINITY) <= to) at += 1
      await this.#pause(signal)
    }
    return hits
  }

  /** One slice a round of the event loop, however many search. */
  async #pause(signal: AbortSignal): Promise<void> {
    this.#turn = this.#turn.then(() => setImmediate())
    await this.#turn
    signal.throwIfAborted()
  }
}

function seqsIn(row: { readonly [column: string]: unknown } | undefined): number[] {
  return JSON.parse(String(row?.['seqs']))
}

function bestOf(scores: ReadonlyMap<number, number>, most: number): [number, number][] {
  return [...scores].sort((a, b) => b[1] - a[1] || b[0] - a[0]).slice(0, most)
}
