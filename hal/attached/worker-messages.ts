/** What passes between the control loop and a thread of sensors. Structured clones; outcomes travel in batches. */
import type { HalErrorCode } from '../contract/errors.ts'
import type { EmulatorLever, IoPlan } from '../safety/plan.ts'
import type { SensorGroup } from './plan.ts'
import type { Outcome } from './sensor-loop.ts'

/** `workerData` of a thread. */
export interface ThreadInit {
  readonly io: IoPlan
  readonly group: SensorGroup
  /** By index in `group.sensors`: wait this long before opening it, milliseconds. */
  readonly delaysMs: readonly number[]
  /** Two words, at `beatAt` and `turnAt`. */
  readonly shared: SharedArrayBuffer
}

/** Beats so far: it stands still when the thread does. */
export const beatAt = 0
/** Index of the part that ran last; -1 before any. */
export const turnAt = 1
export const beatEveryMs = 250

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
  | { readonly type: 'closed' }
