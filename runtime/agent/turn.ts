/**
 * A turn: what an agent's machine is given and what it gives back. A turn is a pure function of the machine's memory and its
 * input: the machine has no host functions, no clock but `nowMs`, no randomness but its seed. So an agent is its last image
 * plus the turns since, and running those turns again gives the same memory and the same calls, on any processor.
 *
 * Invariants: [agent-1] nothing leaves a machine but the output of a turn; [agent-2] no call of a turn is performed before
 * that turn is on disk; [agent-3] a turn that was interrupted, or ran out of memory or stack, is not on disk: it never was.
 */
import type { CallErrorCode, Json, Priority } from './contract.ts'

/** One thing that happened to an agent. */
export type TurnInput =
  /** First of all: runs the program. `device` is where it runs. */
  | { readonly kind: 'start'; readonly device: string }
  /** The answer to call `id`. */
  | { readonly kind: 'settle'; readonly id: number; readonly ok: true; readonly value: Json | undefined }
  | { readonly kind: 'settle'; readonly id: number; readonly ok: false; readonly error: CallError }
  /** One more item of the stream that call `id` opened. */
  | { readonly kind: 'item'; readonly id: number; readonly value: Json }
  /** It was carried to another device, or asked to end: `ctx` tells the program. */
  | { readonly kind: 'moved'; readonly device: string }

export interface CallError {
  readonly code: CallErrorCode
  /** One line. */
  readonly message: string
}

/** Something the agent asks of the world. Ids count up from 1 in each agent and are never used again. */
export interface Call {
  readonly id: number
  readonly op: CallOp
  /** `urgency`: an `Urgency`, where it has one; it is kept and carried with the rest. */
  readonly args: { readonly [name: string]: Json }
  /** Opens a stream: items follow until it is cancelled or settled. */
  readonly stream?: true
}

/** How urgent a call is beside the others of its agent, as the agent says. */
export interface Urgency {
  /** At most so urgent, and never more than its agent. */
  readonly priority?: Priority
  /** When all of what it is a part of is wanted, an instant of the agent's clock. */
  readonly dueMs?: number
}

/** Every way out of a machine; each has one service, and a capability that is asked for. */
export const callOps = [
  'sleep',
  'cron',
  'on',
  'entities',
  'read',
  'command',
  'until',
  'infer',
  'think',
  'tool',
  'ask',
  'call',
  'calls',
  'reply',
  'memory.get',
  'memory.set',
  'memory.delete',
  'memory.keys',
  'memory.note',
  'memory.search',
  'memory.forget',
  'board.get',
  'board.set',
  'board.delete',
  'board.watch',
  'decide.auction',
  'decide.contract-net',
  'decide.vote',
  'decide.agree',
  'lease',
  'release',
] as const
export type CallOp = (typeof callOps)[number]

export interface LogLine {
  readonly level: 'info' | 'error'
  readonly text: string
}

export interface TurnOutput {
  readonly calls: readonly Call[]
  /** Calls nobody waits for any more: a stream that was left. */
  readonly cancels: readonly number[]
  readonly log: readonly LogLine[]
  /** The program has ended. */
  readonly end?:
    | { readonly ok: true; readonly value: Json | undefined }
    | { readonly ok: false; readonly error: string }
}

/** What a turn cost: `ticks` are the same on every processor, milliseconds are not. */
export interface TurnCost {
  readonly ticks: number
  readonly cpuMs: number
  readonly memoryBytes: number
}

/** Why a turn did not come to its end. The machine is thrown away: its memory is between two instants. */
export const turnFaults = [
  /** More ticks than a turn may have. */
  'cpu',
  'memory',
  /** Calls nested too deep: the host's stack ends it, so it is no instant that another processor would know. */
  'stack',
  /** More calls, log or output than a turn may have. */
  'output',
  /** The thread had to be ended from outside. */
  'hung',
  /** What was on disk and what the machine now says differ. */
  'diverged',
] as const
export type TurnFault = (typeof turnFaults)[number]

export const turnLimits = {
  /** A tick is some 10,000 instructions of the machine, 50 µs on a desk: 2,000 are 100 ms there, half a second on a Pi 3. */
  ticksMax: 2_000,
  /**
   * CPU time of a new turn: some ticks cost more than others. Only faults depend on it, which are never on disk, so replays
   * need not.
   */
  cpuMsMax: 1_000,
  /** Wall-clock time after which a thread counts as hung: ten times what the ticks may need on the slowest board. */
  hungMsMax: 10_000,
  memoryBytesMax: 16 * 1024 * 1024,
  /** Calls that a program makes in one turn; of one agent that are open at a time. */
  callsMax: 256,
  openCallsMax: 1_024,
  /** JSON of one call's arguments; of a whole output. */
  argsBytesMax: 64 * 1024,
  outputBytesMax: 512 * 1024,
  /** JSON of one input; inputs that wait for a turn. More items of a stream drop its oldest, and are counted. */
  inputBytesMax: 128 * 1024,
  inputsMax: 256,
  logLinesMax: 64,
  logCharsMax: 2_000,
} as const
