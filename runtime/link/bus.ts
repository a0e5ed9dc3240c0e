/** What rooms that talk to other devices need of the link; `Link` has it. */
import type { Cancel } from '../base/clock.ts'
import type { Topics } from '../wire/topics.ts'

export interface Bus {
  readonly topics: Topics
  readonly connected: boolean
  onChange(listener: (connected: boolean) => void): Cancel
  /** `taker` returns one line that says what is wrong with the message, if anything. */
  subscribe(
    filter: string,
    taker: (message: {
      readonly topic: string
      readonly payload: Uint8Array
      readonly retained?: boolean
    }) => string | undefined,
  ): Cancel
  publish(topic: string, payload: string | Uint8Array): Promise<void>
  setRetained(topic: string, payload: string | Uint8Array): void
  clearRetained(topic: string): void
  forgetRetained(topic: string): void
}
