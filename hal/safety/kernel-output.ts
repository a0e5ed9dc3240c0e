/**
 * What the kernel knows about one output, one component, one input. Everything that the rules read is precomputed here
 * when the kernel opens, so that judging a command touches only the rules of the outputs that it changes.
 *
 * Between calls `next === value` for every output; during a call `next` is the vector under judgement.
 */
import type { Constraint, Lease, OutputSpec, PrincipalKind } from '../contract/safety.ts'
import type { KernelComponent } from './kernel-types.ts'

export interface Output {
  readonly name: string
  readonly local: string
  readonly component: Component
  readonly spec: OutputSpec
  readonly safe: number
  /** Own limits, tightened by `range` rules; `rangeBecause` is the reason of the tightest. */
  min: number
  max: number
  rangeBecause: string | undefined
  /** Infinity: not slewed. */
  slewPerS: number
  /** What is on the wire. */
  value: number
  /** The value under judgement. */
  next: number
  /** Where a command wants it; differs from `value` while it slews. */
  target: number
  slewedAtMs: number
  /** A held move is reported once. */
  held: boolean
  /** When it last turned on, or off. */
  switchedAtMs: number
  /** First reading that differed from `value`, with none that agreed since. */
  differsSinceMs: number | undefined
  /** What goes safe together with it: itself, or its whole sequence. */
  unit: Unit
  /** Rules over the vector that read it. */
  readonly rules: VectorRule[]
  readonly minimums: Minimum[]
  readonly longest: LongestOn[]
  readonly rates: Rate[]
}

/** Outputs that go safe as one. */
export interface Unit {
  readonly outputs: readonly Output[]
  readonly sequence: Sequence | undefined
  /** While settling: 0 stays, 1 goes safe (a sequence by walking), 2 is safe at once. */
  level: 0 | 1 | 2
}

/** Outputs that move through named states only. */
export interface SequenceState {
  readonly name: string
  readonly values: ReadonlyMap<Output, number>
  /** Where it may go, and after how long here, milliseconds. */
  readonly steps: Map<SequenceState, number>
  /** First step of the quickest way to the safe state; none from the safe state itself. */
  onward: { readonly to: SequenceState; readonly afterMs: number } | undefined
}

export interface Sequence {
  readonly outputs: readonly Output[]
  readonly states: readonly SequenceState[]
  readonly because: string | undefined
  current: SequenceState
  enteredAtMs: number
  /** The kernel is walking it to its safe state; nobody can command it meanwhile. */
  walking: boolean
}

export interface Component {
  readonly id: string
  readonly config: KernelComponent
  readonly outputs: Output[]
  /** By local name. */
  readonly byLocal: Map<string, Output>
  lease: HeldLease | undefined
  /** Components that share rules, directly or through others, with it among them. One object for all of them. */
  group: readonly Component[]
  /** A latched fault keeps it safe. */
  faulty: boolean
}

export interface HeldLease {
  readonly lease: Lease
  readonly components: readonly Component[]
  readonly kind: PrincipalKind
  endsAtMs: number
  /** Number of its last command. */
  sequence: number
}

export interface Input {
  readonly name: string
  /** NaN: unknown. */
  value: number
  readonly rules: VectorRule[]
}

/** A rule that a whole vector, as it follows the one on the wire at some time, keeps or breaks. It reads `next`. */
export interface VectorRule {
  readonly rule: Constraint['rule']
  /** Whom to drive safe when it is broken: the first of these that has something left to drive. */
  readonly tiers: readonly (readonly Output[])[]
  /** It reads an input, not only outputs. */
  readonly readsInput: boolean
  broken(nowMs: number): boolean
  /** One line for a person: what it wants, and why. */
  readonly message: string
}

export interface Minimum {
  readonly onMs: number
  readonly offMs: number
  readonly because: string | undefined
}

export interface LongestOn {
  readonly onMs: number
  readonly because: string | undefined
}

export interface Rate {
  readonly changesMax: number
  readonly perMs: number
  readonly because: string | undefined
  /** When commanded changes happened, oldest first; never longer than `changesMax`. */
  readonly times: number[]
}

/** The end of a message: the reason that the configuration gives, if it gives one. */
export function reason(because: string | undefined): string {
  return because === undefined ? '' : ` (${because})`
}
