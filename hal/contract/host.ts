/**
 * What the HAL needs from the program that hosts it. The host passes these in; the HAL imports nothing outside
 * `hal/`. `runtime/base` has the real implementations, tests pass virtual ones.
 */

/** Stops a timer or a subscription. Calling it twice is harmless. */
export type Cancel = () => void

/** Time as the HAL sees it. Simulated devices take their travel times from here, so a virtual clock can skip them. */
export interface HostClock {
  /** Wall-clock time, milliseconds since the Unix epoch. */
  nowMs(): number
  /** Monotonic time in milliseconds; only differences mean something. */
  monotonicMs(): number
  /** Calls `fn` once after `delayMs`. */
  after(delayMs: number, fn: () => void): Cancel
}

/** A line of the device's log. Never pass secrets or personal content (transcripts, names of people). */
export interface HostLog {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

/** Everything a HAL component may use of its host. */
export interface Host {
  readonly clock: HostClock
  readonly log: HostLog
  /** Deterministic randomness in [0, 1): simulated noise can be replayed from its seed. */
  random(): number
}
