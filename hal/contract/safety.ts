/**
 * Words of the safety kernel (`hal/safety`): what may be written to an output, by whom, and what happens otherwise.
 * It is not a certified safety device; see `hal/safety/README.md`.
 */

/** Values of outputs by name. Binary: 0 or 1. Others: in the output's own unit. */
export type OutputValues = Readonly<Record<string, number>>

export interface OutputSpec {
  /** Local name (`on`, `red`, `duty`); on the device it is `<part id>.<name>`. */
  readonly name: string
  readonly type: 'binary' | 'number'
  /** Where it goes when nobody holds it, and at start. */
  readonly safe: number
  /** Limits, inclusive. Binary: 0 and 1. */
  readonly min: number
  readonly max: number
  readonly unit?: string
  /** Fastest commanded change, units per second: the kernel ramps. Going safe is not slowed by it. */
  readonly slewPerS?: number
  /** The output can be read back, and may differ from what was written for at most this long, milliseconds. */
  readonly readBackMsMax?: number
  /** How much a read-back may differ; default 0. */
  readonly readBackTolerance?: number
}

/**
 * Rules over the whole output vector. Outputs are `<part id>.<name>` (in a driver's own list: local names). "On" means
 * not 0. A rule that the safe vector breaks is refused when the kernel opens.
 */
export type Constraint =
  /** At most `onMax` (default 1) of these are on. */
  | {
      readonly rule: 'mutex'
      readonly outputs: readonly string[]
      readonly onMax?: number
      readonly because?: string
    }
  /** Of these, only the listed pairs may be on together; default none. */
  | {
      readonly rule: 'permissive'
      readonly outputs: readonly string[]
      readonly together: readonly (readonly [string, string])[]
      readonly because?: string
    }
  /**
   * Conflicting groups of outputs: one may turn on only when every other was wholly off for at least `afterMs` (nothing
   * is exempt; a start counts as off just now). Going off is always allowed. No group is on when safe.
   */
  | {
      readonly rule: 'clearance'
      readonly groups: readonly (readonly string[])[]
      readonly afterMs: number
      readonly because?: string
    }
  /** Once on, it stays on this long (going safe is exempt); once off, it stays off this long (nothing is exempt; a start counts as off just now). */
  | {
      readonly rule: 'minimum'
      readonly output: string
      readonly onMs?: number
      readonly offMs?: number
      readonly because?: string
    }
  /** It goes safe after having been on this long, whoever holds it. */
  | { readonly rule: 'maximum-on'; readonly output: string; readonly onMs: number; readonly because?: string }
  /**
   * The outputs move through named states only. `steps` says which state may follow which, after at least `afterMs` in
   * the first. The safe vector must be one of the states; losing the lease walks there by the quickest path of steps, a
   * fault, an emergency stop or a restart goes there at once.
   */
  | {
      readonly rule: 'sequence'
      readonly outputs: readonly string[]
      readonly states: Readonly<Record<string, OutputValues>>
      readonly steps: readonly { readonly from: string; readonly to: string; readonly afterMs: number }[]
      readonly because?: string
    }
  /** Tighter limits than the output's own. */
  | {
      readonly rule: 'range'
      readonly output: string
      readonly min: number
      readonly max: number
      readonly because?: string
    }
  /** Slower than the output's own slew, units per second. */
  | { readonly rule: 'slew'; readonly output: string; readonly perS: number; readonly because?: string }
  /** At most `changesMax` commanded changes in any window of `perMs`. */
  | {
      readonly rule: 'rate'
      readonly output: string
      readonly changesMax: number
      readonly perMs: number
      readonly because?: string
    }
  /** While `output` is on, `needs` is within [min, max]: an output, or an input named in the safety configuration. */
  | {
      readonly rule: 'dependency'
      readonly output: string
      readonly needs: string
      readonly min: number
      readonly max: number
      readonly because?: string
    }

/** Who asks. `person` is somebody at the device, `mqtt` a client of the broker, the others are programs. */
export type PrincipalKind = 'person' | 'mqtt' | 'agent' | 'model'

export interface LeaseRequest {
  /** Ids of attached actuators, all or none. */
  readonly components: readonly string[]
  /** `user`, `mqtt`, `agent:<name>`, `model:<name>`. */
  readonly principal: string
  /** It ends by itself after this long without a renewal, milliseconds. */
  readonly ttlMs: number
}

export interface Lease {
  readonly id: string
  readonly components: readonly string[]
  readonly principal: string
  readonly ttlMs: number
}

/** Why something was not done. `rule` is stable, `message` is one line for a person. */
export interface Denial {
  readonly rule:
    | 'lease'
    | 'sequence-number'
    | 'expired'
    | 'disarmed'
    | 'fault'
    | 'emergency-stop'
    | 'authority'
    | Constraint['rule']
  readonly message: string
}

export type FaultCause =
  | 'read-back'
  | 'write-failed'
  | 'emergency-stop'
  | 'conflict-monitor'
  | 'stall'
  | 'start-up'

/** Latched: it survives restarts and power loss until a person clears it at the device. */
export interface Fault {
  readonly id: string
  readonly cause: FaultCause
  /** Attached parts that stay safe because of it. */
  readonly components: readonly string[]
  readonly message: string
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
}

export interface SafetyStatus {
  readonly armed: boolean
  /** Why it is not armed, for a person. */
  readonly notArmedBecause: readonly string[]
  readonly emergencyStop: boolean
  readonly faults: readonly Fault[]
  /** Why the disk does not hold them: they are latched until this process ends, and it is tried again. */
  readonly faultsNotStored?: string
  readonly leases: readonly (Lease & { readonly leftMs: number })[]
  readonly outputs: readonly { readonly output: string; readonly value: number; readonly safe: number }[]
  readonly watchdog: 'none' | 'fed' | 'starving'
  readonly denials: number
}

/** The kernel as the rest of the device sees it: it can ask, never write. */
export interface Safety {
  /** Components that need a lease to be commanded. */
  readonly components: ReadonlySet<string>
  /** Throws HalError `busy` (somebody else holds an exclusive part), `permission` (denied, the message says which rule). */
  acquire(request: LeaseRequest): Promise<Lease>
  /** Keeps a lease alive for another `ttlMs`. Throws HalError `permission` when it has ended. */
  renew(leaseId: string): Promise<void>
  /** Ends a lease: its outputs go safe. Never throws for one that has ended. */
  release(leaseId: string): Promise<void>
  /**
   * The network has been away for longer than the caller's grace: leases of `mqtt` end, except those whose parts keep
   * what was commanded.
   */
  networkLost(): Promise<void>
  /** An agent or a model is gone: its leases end. */
  endPrincipal(principal: string): Promise<void>
  status(): Promise<SafetyStatus>
  /** Called with every change of arming, faults and emergency stop. */
  onChange(listener: (status: SafetyStatus) => void): () => void
}
