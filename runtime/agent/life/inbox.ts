/**
 * What waits for an agent's next turn. Answers are never lost and there are never more of them than calls; items of streams are
 * bounded: with a full inbox the oldest of them goes, and is counted [life-4].
 */
import type { Json } from '../contract.ts'
import type { Wanted } from '../scheduler/urgency.ts'
import { failed, type Outcome } from '../service.ts'
import { type TurnInput, turnLimits } from '../turn.ts'

/** Inputs of one turn, and their JSON: the rest waits for the next, so that others have theirs. */
const inputsPerTurn = 32
const bytesPerTurn = 512 * 1024

interface Entry {
  readonly input: TurnInput
  readonly bytes: number
  /** Of a stream's item: a later one of this name takes its place. */
  readonly latest?: string | undefined
  /** Of an answer: told where nobody waits for it any more. */
  readonly unheard?: (() => void) | undefined
  readonly wanted: Wanted
}

const asItsAgent: Wanted = {}

export class Inbox {
  #waiting: Entry[] = []
  #taken: Entry[] = []
  #dropped = 0

  get size(): number {
    return this.#waiting.length
  }

  give(input: Extract<TurnInput, { kind: 'start' | 'moved' }>): void {
    this.#waiting.push({ input, bytes: 0, wanted: asItsAgent })
  }

  /** How urgent each of what waits is. */
  get wanted(): Wanted[] {
    return this.#waiting.map(({ wanted }) => wanted)
  }

  settle(id: number, outcome: Outcome, wanted = asItsAgent): void {
    const input = settled(id, outcome)
    const bytes = bytesOf(input)
    const unheard = outcome.ok ? outcome.unheard : undefined
    if (bytes <= turnLimits.inputBytesMax) this.#waiting.push({ input, bytes, unheard, wanted })
    else this.#waiting.push({ input: settled(id, unfit(bytes)), bytes: 0, wanted })
  }

  /** False where an item went: an older one, or this one because it is too large. One of the same `latest` is replaced, which is no loss. */
  item(id: number, value: Json, latest?: string, wanted = asItsAgent): boolean {
    const input = { kind: 'item', id, value } as const
    const bytes = bytesOf(input)
    const fits = bytes <= turnLimits.inputBytesMax
    if (fits && latest !== undefined)
      this.#waiting = this.#waiting.filter((entry) => entry.latest !== latest || !isItemOf(id, entry))
    if (fits) this.#waiting.push({ input, bytes, latest, wanted })
    const items = this.#waiting.filter((entry) => entry.input.kind === 'item')
    const [oldest] = items
    const full = items.length > turnLimits.inputsMax
    if (full) this.#waiting = this.#waiting.filter((entry) => entry !== oldest)
    if (fits && !full) return true
    this.#dropped += 1
    return false
  }

  /** What the next turn is given. `kept()` when that turn is on the disk, `back()` when it never was. */
  take(): TurnInput[] {
    let bytes = 0
    let count = 0
    for (const entry of this.#waiting.slice(0, inputsPerTurn)) {
      bytes += entry.bytes
      if (count > 0 && bytes > bytesPerTurn) break
      count += 1
    }
    this.#taken = this.#waiting.splice(0, count)
    return this.#taken.map(({ input }) => input)
  }

  kept(): void {
    this.#taken = []
    this.#dropped = 0
  }

  back(): void {
    this.#waiting.unshift(...this.#taken)
    this.#taken = []
  }

  /** Items that went since the last turn that is on the disk. */
  get dropped(): number {
    return this.#dropped
  }

  /** Nobody waits for this call any more. */
  leave(id: number): void {
    const left = this.#waiting.filter(({ input }) => 'id' in input && input.id === id)
    this.#waiting = this.#waiting.filter((entry) => !left.includes(entry))
    for (const { unheard } of left) unheard?.()
  }
}

function isItemOf(id: number, { input }: Entry): boolean {
  return input.kind === 'item' && input.id === id
}

function settled(id: number, outcome: Outcome): TurnInput {
  if (outcome.ok) return { kind: 'settle', id, ok: true, value: outcome.value }
  return { kind: 'settle', id, ok: false, error: outcome.error }
}

/** Infinite where it is nothing that JSON can say. */
function bytesOf(input: TurnInput): number {
  try {
    return Buffer.byteLength(JSON.stringify(input))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

function unfit(bytes: number): Outcome {
  if (!Number.isFinite(bytes)) return failed('failed', 'the answer is nothing that JSON can say')
  return failed('limit', `the answer has ${bytes} bytes, more than the ${turnLimits.inputBytesMax} allowed`)
}
