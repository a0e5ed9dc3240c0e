/** What a person at the device may ask of safety, and the audit that they read. Never offered over a network. */
import type { SafetyStatus } from './safety.ts'

export interface ControlRequest {
  readonly command: 'status' | 'arm' | 'disarm' | 'clear'
  /** `clear`: id of the fault. */
  readonly fault?: string
  /** `arm` and `clear` need it. */
  readonly token?: string
}

export type AuditWhat =
  | 'denied'
  | 'fault'
  | 'armed'
  | 'disarmed'
  | 'cleared'
  | 'forced-safe'
  | 'silence'
  | 'token-refused'
  | 'started'
  | 'stopped'
  | 'stalled'
  | 'made-safe'

export interface AuditLine {
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number
  readonly what: AuditWhat
  /** `user`, `agent:<name>`, `device` … */
  readonly who: string
  readonly rule?: string
  readonly component?: string
  readonly message: string
  /** How many such within the second; absent: one. */
  readonly count?: number
}

/** Safety of the device that uses a safety directory, from outside of its process. */
export interface SafetyControl {
  /** Throws HalError: `not-present` (no device runs there), `permission` (the token), `timeout`, what the kernel says. */
  ask(safetyDir: string, request: ControlRequest, signal: AbortSignal): Promise<SafetyStatus>
  /** Makes the token and returns it, this once. Throws HalError `busy` when there is one. */
  createToken(safetyDir: string): Promise<string>
  /** The newest lines, oldest first. */
  readAudit(safetyDir: string, linesMax: number): Promise<readonly AuditLine[]>
}
