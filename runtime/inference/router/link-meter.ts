/**
 * The link to a route, learnt from the answers that came over it: what an answer took beyond the time in the model, against
 * the bytes that were sent. One meter a route, shared by its models: a small request teaches what a large one will take.
 */
import { weightedQuantile } from './latency-window.ts'

/** Of each size; the older half only says what is usual. */
const samplesMax = 48
const recentMax = 24
/** From here on the size of a message shows in its time on a home's link. */
const largeBytes = 8 * 1024
/** Tail above the median before anything was measured, as a share of it. */
const firstTail = 1
/** Messages under way that are watched: more than a device has at once. */
const overdueMax = 64
/**
 * Half-life of a slow spell of which nothing more is heard, milliseconds. Short beside how long links stay as they are: a wrong
 * hope is put right by the next answer, and a second try bounds what it costs; a wrong fear is put right by nothing.
 */
const fadesMs = 1_000
/** The same for a single slow message: a lossy link has one now and then. */
const tailFadesMs = 2_000

export interface LinkPrior {
  readonly rttMs: number
  readonly bytesPerS: number
}

export interface Transfer {
  readonly p50Ms: number
  readonly p95Ms: number
}

interface Sample {
  readonly bytes: number
  readonly overheadMs: number
  /** Of silence: when it is forgotten. */
  readonly untilMs: number
}

/** A link that kept silent is expected to keep silent as long again, and at least this long. */
const silenceMsMin = 500

/** Messages of about one size. */
class Lane {
  /** Newest last. */
  samples: Sample[] = []
  /** What each took beyond what was expected of it. */
  readonly #excess: { readonly ms: number; readonly atMs: number }[] = []
  newestMs = -Infinity

  add(sample: Sample, excessMs: number, nowMs: number): void {
    keep(this.samples, sample, samplesMax)
    keep(this.#excess, { ms: excessMs, atMs: nowMs }, samplesMax)
    this.newestMs = nowMs
  }

  /** Time above the median that 95 of 100 do not exceed; undefined before the first. */
  tailMs(nowMs: number): number | undefined {
    const usual = rank(
      this.#excess.map(({ ms }) => ms),
      0.75,
    )
    if (usual === undefined) return undefined
    const recent = this.#excess.slice(-recentMax)
    return weightedQuantile(
      recent.map(({ ms, atMs }) => faded(ms, usual, nowMs - atMs, tailFadesMs)),
      0.95,
    )
  }
}

export class LinkMeter {
  readonly #small = new Lane()
  readonly #large = new Lane()
  readonly #overdue = new Set<{ readonly lane: Lane; readonly dueMs: number }>()
  #rttMs: number
  #usualRttMs: number
  #msPerByte: number
  #usualMsPerByte: number

  constructor(prior: LinkPrior) {
    this.#rttMs = prior.rttMs
    this.#usualRttMs = prior.rttMs
    this.#msPerByte = 1000 / prior.bytesPerS
    this.#usualMsPerByte = this.#msPerByte
  }

  get measured(): boolean {
    return this.newestMs(0) > -Infinity
  }

  /** Monotonic time of the newest answer to a message of that size or larger. */
  newestMs(bytes: number): number {
    return bytes >= largeBytes ? this.#large.newestMs : Math.max(this.#small.newestMs, this.#large.newestMs)
  }

  /**
   * `overheadMs`: from sending to the whole answer, less the time that it waited and ran there. `silent`: no answer came in that
   * time; that is soon forgotten, since a link that comes back is as it was before.
   */
  add(bytes: number, overheadMs: number, nowMs: number, silent = false): void {
    const untilMs = silent ? nowMs + Math.max(silenceMsMin, overheadMs) : Infinity
    const sample = { bytes, overheadMs: Math.max(0.05, overheadMs), untilMs }
    const excessMs = Math.max(0, sample.overheadMs - this.#median(bytes, nowMs))
    this.#lane(bytes).add(sample, excessMs, nowMs)
    this.#fit()
  }

  transfer(bytes: number, nowMs: number): Transfer {
    this.#forgetSilence(nowMs)
    const p50Ms = this.#median(bytes, nowMs) + this.#silenceMs(bytes, nowMs)
    const tailMs =
      this.#lane(bytes).tailMs(nowMs) ??
      this.#small.tailMs(nowMs) ??
      this.#large.tailMs(nowMs) ??
      firstTail * p50Ms
    return { p50Ms, p95Ms: p50Ms + tailMs }
  }

  /** A message has left, and its answer is overdue from `dueMs` on. Ends when it is answered or not waited for any more. */
  sent(bytes: number, dueMs: number): { readonly end: (answered: boolean) => void } {
    const mine = { lane: this.#lane(bytes), dueMs }
    if (this.#overdue.size < overdueMax) this.#overdue.add(mine)
    return {
      end: (answered) => {
        this.#overdue.delete(mine)
        // Whoever was sent before the one that came back waits for something else than the link.
        if (answered) for (const one of this.#overdue) if (one.lane === mine.lane) this.#overdue.delete(one)
      },
    }
  }

  /** Silence in which others wait: it is expected to last as long again. A large one that is late holds up no small one. */
  #silenceMs(bytes: number, nowMs: number): number {
    const lane = this.#lane(bytes)
    const waits = [...this.#overdue].filter((one) => one.lane === lane || one.lane === this.#small)
    return Math.max(0, ...waits.map(({ dueMs }) => nowMs - dueMs))
  }

  #lane(bytes: number): Lane {
    return bytes >= largeBytes ? this.#large : this.#small
  }

  #median(bytes: number, nowMs: number): number {
    const rttMs = faded(this.#rttMs, this.#usualRttMs, nowMs - this.newestMs(0), fadesMs)
    return rttMs + bytes * faded(this.#msPerByte, this.#usualMsPerByte, nowMs - this.#large.newestMs, fadesMs)
  }

  #forgetSilence(nowMs: number): void {
    let forgot = false
    for (const lane of [this.#small, this.#large]) {
      const kept = lane.samples.filter(({ untilMs }) => untilMs > nowMs)
      forgot ||= kept.length < lane.samples.length
      lane.samples = kept
    }
    if (forgot) this.#fit()
  }

  /** Alternating medians (a cheap kin of Siegel's robust line, 1982): each of the two keeps the other's last value. */
  #fit(): void {
    const rtts = this.#small.samples.map(({ bytes, overheadMs }) =>
      Math.max(0.05, overheadMs - bytes * this.#usualMsPerByte),
    )
    const quickest = Math.min(Infinity, ...this.#large.samples.map(({ overheadMs }) => overheadMs))
    // Without small messages the two cannot be told apart: the round trip is at most what the quickest large one took.
    this.#rttMs = weightedQuantile(rtts.slice(-recentMax), 0.5) ?? Math.min(this.#rttMs, quickest)
    // Nor is the usual one ever longer than what large ones usually take: a lone small message says little.
    const usualLarge = rank(
      this.#large.samples.map(({ overheadMs }) => overheadMs),
      0.5,
    )
    this.#usualRttMs = Math.min(rank(rtts, 0.5) ?? this.#rttMs, usualLarge ?? Infinity)
    const perByte = this.#large.samples.map(
      ({ bytes, overheadMs }) => Math.max(0, overheadMs - this.#rttMs) / bytes,
    )
    this.#msPerByte = weightedQuantile(perByte.slice(-recentMax), 0.5) ?? this.#msPerByte
    this.#usualMsPerByte = rank(perByte, 0.5) ?? this.#msPerByte
  }
}

/** What a link was a while ago says less and less: from `recent` back to what is usual of it, where that is better. */
function faded(recent: number, usual: number, ageMs: number, halfLifeMs: number): number {
  return recent <= usual ? recent : usual + (recent - usual) * 0.5 ** (ageMs / halfLifeMs)
}

function keep<T>(list: T[], value: T, max: number): void {
  list.push(value)
  if (list.length > max) list.shift()
}

/** All values weighing the same. */
function rank(values: readonly number[], share: number): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(share * (values.length - 1))]
}
