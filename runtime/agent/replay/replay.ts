/**
 * Runs what happened to an agent once more, offline: the same inputs at the same instants, and nothing is done. With the program
 * that was recorded it says again what it said; with a changed one the report says what that would do instead.
 *
 * Invariants: [replay-1] nothing of a replay reaches the world: there is only a machine; [replay-2] the recorded program gives the
 * recorded outputs, each turn, or the first that differs is named; [replay-3] a changed program hears answers only to calls that were made in
 * the run as well (same kind, same arguments, in the order they were made): what nobody knows is not made up.
 */
import type { Json } from '../contract.ts'
import type { Call, TurnInput, TurnOutput } from '../turn.ts'
import { Machine, type MachineOptions, type TurnResult } from '../vm/machine.ts'

/** One turn of a run: what came in, and what the agent asked for. */
export interface RecordedTurn {
  readonly nowMs: number
  readonly inputs: readonly TurnInput[]
  readonly output: Pick<TurnOutput, 'calls' | 'cancels' | 'end'>
}

export interface Run {
  readonly seed: number
  readonly startedMs: number
  readonly turns: readonly RecordedTurn[]
}

/** What an agent asks for, without the number that the call happened to have. */
export type Asked = Pick<Call, 'op' | 'args'>

export interface Difference {
  /** Turn of the run, counted from 1. */
  readonly turn: number
  readonly nowMs: number
  /** Asked for in the run, and not now. */
  readonly missing: readonly Asked[]
  /** Asked for now, and not in the run. */
  readonly added: readonly Asked[]
  readonly end?: { readonly was: TurnOutput['end']; readonly is: TurnOutput['end'] }
}

export interface ReplayReport {
  readonly turns: number
  readonly differences: readonly Difference[]
  /** Calls of the changed program that the run has no answer to: it waits for them to the end. */
  readonly unanswered: readonly Asked[]
  /** Why the replay could not go on to the run's end. */
  readonly fault?: string
}

/** `told` hears of each turn before it is taken. Throws ProgramError where the program cannot be loaded. */
export async function replay(
  run: Run,
  options: Omit<MachineOptions, 'seed'>,
  told: (turn: number) => void = () => {},
): Promise<ReplayReport> {
  using machine = await Machine.create({ ...options, seed: run.seed }, run.startedMs)
  const matching = new Matching()
  const differences: Difference[] = []
  let turns = 0
  for (const recorded of run.turns) {
    turns += 1
    told(turns)
    const result: TurnResult = machine.turn(recorded.nowMs, matching.translate(recorded.inputs))
    if (!result.ok) return report(turns, differences, matching, `${result.fault}: ${result.reason}`)
    matching.add(recorded.output.calls, result.output.calls)
    const difference = compare(turns, recorded, result.output)
    if (difference) differences.push(difference)
    if (result.output.end) break
  }
  return report(turns, differences, matching)
}

function report(
  turns: number,
  differences: readonly Difference[],
  matching: Matching,
  fault?: string,
): ReplayReport {
  return { turns, differences, unanswered: matching.unanswered, ...(fault === undefined ? {} : { fault }) }
}

/** Which call of the replay stands for which of the run. */
class Matching {
  /** Calls of the run that none of the replay stands for yet, and the other way round, by what they ask. */
  readonly #recorded = new Map<string, number[]>()
  readonly #replayed = new Map<string, { readonly id: number; readonly asked: Asked }[]>()
  readonly #idOf = new Map<number, number>()
  /** Inputs to calls of the run that the replay has not made yet: it may still make them. */
  readonly #early = new Map<number, TurnInput[]>()
  #late: TurnInput[] = []

  add(recorded: readonly Call[], replayed: readonly Call[]): void {
    for (const call of recorded) push(this.#recorded, keyOf(call), call.id)
    for (const call of replayed) push(this.#replayed, keyOf(call), { id: call.id, asked: askedOf(call) })
    for (const [key, calls] of this.#replayed) {
      const ids = this.#recorded.get(key) ?? []
      while (calls.length > 0 && ids.length > 0) {
        const was = ids.shift() as number
        const is = (calls.shift() as { readonly id: number }).id
        this.#idOf.set(was, is)
        for (const input of this.#early.get(was) ?? []) this.#late.push(withId(input, is))
        this.#early.delete(was)
      }
    }
  }

  /** Inputs of the run as the replay's: those to calls that it did not make wait until it does. */
  translate(inputs: readonly TurnInput[]): TurnInput[] {
    const now = this.#late
    this.#late = []
    for (const input of inputs) {
      if (!('id' in input)) {
        now.push(input)
        continue
      }
      const id = this.#idOf.get(input.id)
      if (id !== undefined) now.push(withId(input, id))
      else this.#early.set(input.id, [...(this.#early.get(input.id) ?? []), input])
    }
    return now
  }

  get unanswered(): Asked[] {
    return [...this.#replayed.values()].flatMap((calls) => calls.map(({ asked }) => asked))
  }
}

function withId(input: TurnInput, id: number): TurnInput {
  return 'id' in input ? { ...input, id } : input
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}

function compare(turn: number, recorded: RecordedTurn, output: TurnOutput): Difference | undefined {
  const was = recorded.output.calls.map(askedOf)
  const is = output.calls.map(askedOf)
  const missing = without(was, is)
  const added = without(is, was)
  const endDiffers = textOf(recorded.output.end) !== textOf(output.end)
  if (missing.length === 0 && added.length === 0 && !endDiffers) return undefined
  const end = endDiffers ? { end: { was: recorded.output.end, is: output.end } } : {}
  return { turn, nowMs: recorded.nowMs, missing, added, ...end }
}

/** Those of `left` that `right` does not have, as often as they are there. */
function without(left: readonly Asked[], right: readonly Asked[]): Asked[] {
  const counts = new Map<string, number>()
  for (const call of right) counts.set(keyOf(call), (counts.get(keyOf(call)) ?? 0) + 1)
  return left.filter((call) => {
    const count = counts.get(keyOf(call)) ?? 0
    counts.set(keyOf(call), count - 1)
    return count <= 0
  })
}

const askedOf = ({ op, args }: Call): Asked => ({ op, args })
const keyOf = ({ op, args }: Asked): string => `${op} ${textOf(args)}`

/** The same text for the same value, in whatever order its fields were written. */
function textOf(value: Json | object | undefined): string {
  return (
    JSON.stringify(value, (_, inner: unknown) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
        : inner,
    ) ?? ''
  )
}
