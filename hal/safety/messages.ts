/** What passes between the control loop and the safety thread. Structured clones, except for the two counters. */
import type { Command, CommandMeta } from '../contract/actuator.ts'
import type { Telemetry } from '../contract/component.ts'
import type { HalErrorCode } from '../contract/errors.ts'
import type { Lease, LeaseRequest, SafetyStatus } from '../contract/safety.ts'
import { nativeWords } from '../linux/native-calls.ts'
import type { AuditEntry } from './audit.ts'
import type { EmulatorLever, SafetyPlan, SensorResult } from './plan.ts'

/** `workerData` of the thread. */
export interface ThreadInit {
  readonly plan: SafetyPlan
  /** Two Int32 counters, at `mainBeatAt` and `threadBeatAt`, then the words of `hal/linux/native-calls.ts`. */
  readonly shared: SharedArrayBuffer
}

/** Signs of life of the control loop. */
export const mainBeatAt = 0
/** Signs of life of the thread. */
export const threadBeatAt = 1
export const threadBeatEveryMs = 100
const nativeFrom = 2
export const sharedBytes = 4 * (nativeFrom + nativeWords)

/** What the thread says about its native calls. */
export function nativeWordsOf(shared: SharedArrayBuffer): Int32Array {
  return new Int32Array(shared, 4 * nativeFrom, nativeWords)
}

/** Everything that can be asked for, with its answer. */
export interface Asks {
  acquire: { readonly ask: LeaseRequest; readonly answer: Lease }
  renew: { readonly ask: string; readonly answer: undefined }
  release: { readonly ask: string; readonly answer: undefined }
  command: {
    readonly ask: {
      readonly component: string
      readonly command: Command
      readonly meta: CommandMeta
      /** On `sharedMonotonicMs`. */
      readonly issuedMs: number
    }
    readonly answer: undefined
  }
  networkLost: { readonly ask: undefined; readonly answer: undefined }
  endPrincipal: { readonly ask: string; readonly answer: undefined }
  status: { readonly ask: undefined; readonly answer: SafetyStatus }
  arm: { readonly ask: undefined; readonly answer: undefined }
  disarm: { readonly ask: string; readonly answer: undefined }
  clearFault: { readonly ask: string; readonly answer: undefined }
  emulate: {
    readonly ask: { readonly part: string; readonly lever: EmulatorLever }
    readonly answer: Readonly<Record<string, number>>
  }
}

export type AskName = keyof Asks

export type ToThread =
  | { readonly type: 'call'; readonly call: number; readonly name: AskName; readonly ask: unknown }
  | { readonly type: 'audit'; readonly entry: AuditEntry }
  | { readonly type: 'close' }

export interface PlainError {
  readonly code: HalErrorCode
  readonly message: string
}

export type FromThread =
  /** The outputs are open and safe. */
  | { readonly type: 'ready'; readonly status: SafetyStatus }
  /** The plan cannot be kept; the thread ends. */
  | { readonly type: 'refused'; readonly error: PlainError }
  | { readonly type: 'answer'; readonly call: number; readonly answer: unknown }
  | { readonly type: 'failure'; readonly call: number; readonly error: PlainError }
  | { readonly type: 'telemetry'; readonly reports: readonly (readonly [string, Telemetry])[] }
  | { readonly type: 'sensor'; readonly part: string; readonly result: SensorResult }
  | { readonly type: 'changed'; readonly status: SafetyStatus }
  | {
      readonly type: 'log'
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly message: string
      readonly fields: Record<string, unknown>
    }
  /** Something that nobody awaited threw; the thread ends. */
  | { readonly type: 'crashed'; readonly message: string }
  | { readonly type: 'closed' }
