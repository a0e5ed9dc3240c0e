/**
 * A service performs the calls of one kind: the only code that touches the world for an agent. It is asked after the turn is
 * on disk and after the permission was decided, and says how a call continues that was under way when the power went.
 *
 * Adding one: the op in `turn.ts`, a method of the context in `contract.ts` and the guest's half in `vm/guest.ts`, a file
 * `services/<op>.service.ts`, one line in `services/index.ts`.
 */
import type { Charge } from './accounts/usage.ts'
import type { Json, Priority, Privacy } from './contract.ts'
import type { Call, CallError, CallOp } from './turn.ts'

/** Whose call it is. */
export interface Caller {
  readonly agent: string
  /** Grows with each move and each restart elsewhere; entities refuse a lower one. */
  readonly token: number
  /** Of which beginning of the agent it is a copy: tokens are compared among these. Absent: of the only one of its name. */
  readonly lineage?: string
  /** How urgent its work is; absent: `background`. */
  readonly priority?: Priority
}

export type Outcome =
  | {
      readonly ok: true
      readonly value?: Json | undefined
      /** How far the value may travel; absent: nobody said, and `think` takes it as `device`. */
      readonly privacy?: Privacy
      /** Takes back what was handed over: the agent gave the call up before it heard of the answer. */
      readonly unheard?: () => void
    }
  | { readonly ok: false; readonly error: CallError }

/** What all agents share of a device, for a call that uses more of it as it goes on. */
export interface Sharing {
  /** A boundary of long work: settles when it may go on; whoever is more urgent goes first. Throws when the signal aborts. */
  boundary(signal: AbortSignal): Promise<void>
  /**
   * Waits until there is so much in the budget, and gives what tells it how much was really used. Throws when the signal
   * aborts, or the device is stopping.
   */
  draw(budget: Budget, amount: number, signal: AbortSignal): Promise<(used: number) => void>
  /** Counts against the agent, as it is spent. */
  spend(charge: Charge): void
}
/** Tokens of language models; bytes to the gateway; bytes to other devices. */
export const budgets = ['tokens', 'gateway', 'radio'] as const
export type Budget = (typeof budgets)[number]

/** Where nobody shares anything: without a scheduler, in tests. */
export const unshared: Sharing = {
  boundary: async () => {},
  draw: async () => () => {},
  spend: () => {},
}

/** By this name agents call the device itself, and it them: no agent is called so. */
export const hostName = 'home'

export interface Performing {
  readonly caller: Caller
  readonly call: Call
  /**
   * True when this call was begun before a crash or a move and nobody knows how it ended: an effect is then looked for in
   * telemetry before it is asked for again, and is `uncertain` where it can be neither seen nor safely repeated.
   */
  readonly resumed: boolean
  /** When the call was asked for, milliseconds since the Unix epoch: deadlines count from here, also after a restart. */
  readonly askedMs: number
  /**
   * One more item of a stream. Returns false when the agent's queue is full: the oldest item was dropped. An item that still waits and
   * was given with the same `latest` is replaced: for what only the latest of means anything.
   */
  emit(value: Json, latest?: string): boolean
  /** Absent: `unshared`. */
  readonly sharing?: Sharing
}

export interface Service {
  readonly ops: readonly CallOp[]
  /** Why no person need be asked whether a call may be made: what it names is not there. Absent, and undefined: it may be. */
  refuses?(call: Pick<Call, 'op' | 'args'>, signal: AbortSignal): Promise<Outcome | undefined>
  /** Settles when the call has ended; a stream's only when its source has. Never throws for what a caller can cause. */
  perform(performing: Performing, signal: AbortSignal): Promise<Outcome>
}

export function failed(code: CallError['code'], message: string): Outcome {
  return { ok: false, error: { code, message } }
}
