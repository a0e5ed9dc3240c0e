/** What passes between the control loop and a thread of sensors. Structured clones; outcomes travel in batches. */
import type { HalErrorCode } from '../contract/errors.ts'
import { nativeWords } from '../linux/native-calls.ts'
import type { EmulatorLever, IoPlan } from '../safety/plan.ts'
import type { SensorGroup } from './plan.ts'
import type { Outcome } from './sensor-loop.ts'

/** `workerData` of a thread. */
export interface ThreadInit {
  readonly io: IoPlan
  readonly group: SensorGroup
  /** By index in `group.sensors`: wait this long before opening it, milliseconds. */
  readonly delaysMs: readonly number[]
  /** Words at `beatAt`, `turnAt` and `readyAt`, then those of `hal/linux/native-calls.ts`. */
  readonly shared: SharedArrayBuffer
}

/** Beats so far: it stands still when the thread does. */
export const beatAt = 0
/** Index of the part that ran last; -1 before any. */
export const turnAt = 1
/** 1 when the thread has loaded its code and the machine: from then on it must not stand still. */
export const readyAt = 2
const nativeFrom = 3
export const sharedBytes = 4 * (nativeFrom + nativeWords)
export const beatEveryMs = 250

/** What the thread says about its native calls. */
export function nativeWordsOf(shared: SharedArrayBuffer): Int32Array {
  return new Int32Array(shared, 4 * nativeFrom, nativeWords)
}

export type ToThread =
  | { readonly type: 'sample'; readonly part: number }
  | { readonly type: 'emulate'; readonly call: number; readonly part: string; readonly lever: EmulatorLever }
  | { readonly type: 'close' }

export type FromThread =
  | {
      readonly type: 'outcomes'
      readonly outcomes: readonly (readonly [part: number, outcome: Outcome])[]
    }
  | {
      readonly type: 'log'
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly message: string
      readonly fields: Record<string, unknown>
    }
  | {
      readonly type: 'emulated'
      readonly call: number
      readonly answer:
        | { readonly world: Readonly<Record<string, number>> }
        | { readonly error: { readonly code: HalErrorCode; readonly message: string } }
    }
  /** It ends itself, for a reason. */
  | { readonly type: 'ending'; readonly why: string }
  | { readonly type: 'closed' }
