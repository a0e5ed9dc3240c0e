/** What the database has of an agent. */
import type { Call, TurnInput } from '../turn.ts'

/**
 * `moving`: on its way to another device, and not there yet; `moved`: given away, and kept until the other device has it; `arriving`:
 * here, and not to be run before the device that sends it has let go of it; `standby`: a copy of one that another device has.
 */
export type AgentState =
  | 'running'
  | 'stopped'
  | 'ended'
  | 'failed'
  | 'moving'
  | 'moved'
  | 'arriving'
  | 'standby'

export interface StoredAgent {
  readonly name: string
  /** SHA-256 of its bundle, hex. */
  readonly program: string
  /** JSON of what it may do. */
  readonly grants: string
  readonly state: AgentState
  /** Why it is not running; what it returned where it ended. */
  readonly reason: string | undefined
  /** Grows with each beginning, of any agent. */
  readonly token: number
  readonly seed: number
  /** Turns taken so far. */
  readonly turn: number
  /** What the agent last saw as now, milliseconds. It never goes back. */
  readonly nowMs: number
  readonly startedMs: number
  /** How often in an hour it begins anew where it fails. */
  readonly restartsMax: number
  /** When it did, in the last hour, milliseconds. */
  readonly restarts: readonly number[]
  /** SHA-256 of the guest that it began with, hex: it has no other until it begins anew. */
  readonly guest: string
  /** Where its program believes that it runs; empty before its first turn. */
  readonly device: string
  /** The highest id of a call that it has asked for. */
  readonly lastCall: number
}

export type Beginning = Omit<StoredAgent, 'token' | 'guest' | 'device' | 'lastCall'>

export interface StoredTurn {
  readonly turn: number
  readonly nowMs: number
  readonly inputs: readonly TurnInput[]
  /** SHA-256 of the output: the same turn again must say the same. */
  readonly digest: string
}

export interface StoredCall extends Call {
  readonly askedMs: number
}

/** A call that waits. `begun`: it may have been asked of its service already. */
export interface WaitingCall {
  readonly call: StoredCall
  readonly begun: boolean
}
