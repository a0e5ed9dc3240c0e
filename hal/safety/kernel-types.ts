/**
 * The safety kernel's calls and answers. The kernel is pure: it has no timer, no clock, no I/O; whoever drives it (the
 * host thread) passes the time with every call, writes what a step says, and calls `tick` at `nextWakeMs()`.
 *
 * Times: `nowMs` is monotonic milliseconds of the host thread and never goes back (a smaller one counts as the last);
 * `epochMs` is wall-clock time, used only as the date of a fault. Output names are global (`<part>.<output>`), except in
 * `CommandRequest.changes`, which holds the component's local ones, as a driver's `plan` gives them.
 */
import type {
  Constraint,
  Denial,
  Fault,
  FaultCause,
  Lease,
  LeaseRequest,
  OutputSpec,
  OutputValues,
  SafetyStatus,
} from '../contract/safety.ts'

export interface KernelComponent {
  /** Id of the attached part. */
  readonly id: string
  /** With local names. */
  readonly outputs: readonly OutputSpec[]
  /** Only a holder of equal or higher rank may take it over while its lease lives. */
  readonly exclusive: boolean
  readonly safetyClass?: 'traffic-signal' | 'machine'
  /** A lease of `mqtt` on it survives `networkLost`. */
  readonly keepWithoutNetwork: boolean
}

export interface KernelConfig {
  readonly components: readonly KernelComponent[]
  /** Over global names. */
  readonly constraints: readonly Constraint[]
  /** Names that dependencies may need; an input's value is unknown, and satisfies nothing, until it was reported. */
  readonly inputs: readonly string[]
  /** Machines and traffic signals make it `person`, whatever this says. */
  readonly arming: 'automatic' | 'person'
  /** An external conflict monitor is wired. It counts as not content until `conflictMonitor(true, …)`. */
  readonly hasConflictMonitor: boolean
  /** Everything goes safe when `alive` was not called for longer than this. */
  readonly silenceMsMax: number
  /** How often outputs with a slew limit move, and the most time that one move makes up for. */
  readonly rampTickMs: number
  /** Different at every start (random): lease and fault ids begin with it, so those of an earlier start never match. */
  readonly startId: string
}

/** What survives a restart. */
export interface KernelMemory {
  readonly faults: readonly Fault[]
}

/** What a call led to. */
export interface Step {
  /**
   * Changes to write, in this order, each in one request: at most two (what had become due, then what was asked). The
   * outputs of a new fault are all in it, changed or not. When one cannot be written the rest is void: what
   * counts is `values()` after `writeFailed`.
   */
  readonly writes: readonly OutputValues[]
  /** Outputs were driven safe at once because of a fault, an emergency stop or disarming. */
  readonly emergency: boolean
  readonly events: readonly KernelEvent[]
}

/** `denial.rule` is `authority` where an exclusive component is held by a higher rank: `busy` to the caller. */
export type LeaseStep = Step &
  ({ readonly lease: Lease; readonly denial?: never } | { readonly lease?: never; readonly denial: Denial })

/** Without `denial` it was done. */
export type AskedStep = Step & { readonly denial?: Denial }

export interface CommandRequest {
  readonly component: string
  readonly leaseId: string
  /** Must be greater than that of every earlier command under the lease, denied ones included. */
  readonly sequence: number
  /** Must be the lease's. */
  readonly principal: string
  /** The command is refused later than this after `issuedMs`. */
  readonly ttlMs: number
  /** On the same clock as `nowMs`. */
  readonly issuedMs: number
  /** Local names. */
  readonly changes: OutputValues
}

export type LeaseEnd =
  | 'released'
  | 'expired'
  | 'taken-over'
  | 'network-lost'
  | 'principal-ended'
  | 'silence'
  | 'fault'
  | 'emergency-stop'
  | 'disarmed'

export type KernelEvent =
  /** Something was refused. `asked` says what; `changes` are there for commands. */
  | {
      readonly type: 'denied'
      readonly asked: 'acquire' | 'renew' | 'command' | 'arm' | 'clear-fault'
      readonly principal: string
      readonly components: readonly string[]
      readonly changes?: OutputValues
      readonly denial: Denial
    }
  /** A slewing output waits at `value` on its way because the next move would break a rule; it tries again. */
  | { readonly type: 'held'; readonly output: string; readonly value: number; readonly denial: Denial }
  | { readonly type: 'lease-granted'; readonly lease: Lease }
  | { readonly type: 'lease-ended'; readonly lease: Lease; readonly because: LeaseEnd }
  /** A rule, not a holder, drove these outputs safe, or started their walk there. */
  | {
      readonly type: 'forced-safe'
      readonly outputs: readonly string[]
      readonly rule: Constraint['rule']
      readonly message: string
    }
  | { readonly type: 'fault'; readonly fault: Fault }
  | { readonly type: 'fault-cleared'; readonly fault: Fault; readonly principal: string }
  | { readonly type: 'armed'; readonly principal: string }
  | { readonly type: 'disarmed'; readonly because: string }
  /** The control loop fell silent, or is back. */
  | { readonly type: 'silence'; readonly silent: boolean }

/** Status without what only the host knows. */
export type KernelStatus = Omit<SafetyStatus, 'watchdog' | 'faultsNotStored'>

/**
 * The kernel. `new SafetyKernel(config, memory, nowMs)` throws HalError `malformed` (one line, naming rule and output) for
 * a configuration that cannot be kept. It starts with every output safe (write `values()` first) and disarmed.
 */
export interface Kernel {
  /** Somebody wants to hold components. Never waits. */
  acquire(request: LeaseRequest, nowMs: number): LeaseStep
  /** Agents and models, and principals of no known kind, may not. */
  renew(leaseId: string, nowMs: number): AskedStep
  /** Does nothing for a lease that has ended. */
  release(leaseId: string, nowMs: number): Step
  /** All changes or none. Judged on the vector that results. */
  command(request: CommandRequest, nowMs: number): AskedStep
  /** Does what became due: expiries, ramps, sequence walks, longest on-times, silence. */
  tick(nowMs: number): Step
  /** The control loop gave a sign of life. Nothing else counts as one. */
  alive(nowMs: number): Step
  /** An input has this value; NaN while it cannot be read. */
  input(name: string, value: number, nowMs: number): Step
  /**
   * What the hardware says its outputs are, as many as were read. Call it at least twice per shortest `readBackMsMax`: an
   * output counts as different from the first call that shows it until one that does not.
   */
  readBack(values: OutputValues, nowMs: number, epochMs: number): Step
  /** Writing these failed, whatever is on the wire now. Writes the safe values of all that share a rule with them, once. */
  writeFailed(outputs: readonly string[], message: string, nowMs: number, epochMs: number): Step
  /** The emergency stop is pressed (its loop is open) or not. Pressing latches a fault of everything and disarms. */
  emergencyStop(pressed: boolean, nowMs: number, epochMs: number): Step
  /** The external conflict monitor is content or not. Losing it while armed latches a fault of the traffic signals. */
  conflictMonitor(content: boolean, nowMs: number, epochMs: number): Step
  /** Another fault that the host found (`start-up`, `stall`): latched for these components and all that share rules with them. */
  fault(
    cause: FaultCause,
    components: readonly string[],
    message: string,
    nowMs: number,
    epochMs: number,
  ): Step
  /** The network has been away for longer than the host's grace: leases of `mqtt` end, unless all their components keep. */
  networkLost(nowMs: number): Step
  /** An agent or model is gone: its leases end. */
  endPrincipal(principal: string, nowMs: number): Step
  /** Every check at start passed: arms where arming is automatic and nothing is in the way. Once. */
  startedUp(nowMs: number): Step
  /** Only `user` may, after the host made sure that it is a person at the device. */
  arm(principal: string, nowMs: number): AskedStep
  /** Anybody may: everything goes safe at once, all leases end. */
  disarm(because: string, nowMs: number): Step
  /** Only `user` may, after the host checked the person's token. Refused while the cause is still there. */
  clearFault(faultId: string, principal: string, nowMs: number): AskedStep
  /** Call `tick` no later than this; Infinity when nothing is due. */
  nextWakeMs(): number
  /** The whole vector as it should be on the wire. */
  values(): OutputValues
  /** What to write to disk after every step with a `fault` or `fault-cleared` event, before writing outputs that are not safe. */
  memory(): KernelMemory
  status(nowMs: number): KernelStatus
}
