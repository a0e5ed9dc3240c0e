/** The `timer` module that sensor modules import. Callbacks run on the host's clock, `delay` stops the module's thread. */
import type { Cancel, HostClock } from '../contract/host.ts'

/** A sample may take two seconds; a longer stop could not end well. */
const delayMsMax = 2_000
const timersMax = 64

interface Running {
  callback: (id: object) => void
  repeatMs: number
  cancel: Cancel
}

export interface Timer {
  set(callback: (id: object) => void, delayMs?: number, repeatMs?: number): object
  repeat(callback: (id: object) => void, intervalMs: number): object
  schedule(id: object, delayMs: number, repeatMs?: number): void
  clear(id: object | undefined): void
  delay(ms: number): void
}

export function createTimer(clock: HostClock): Timer {
  const timers = new Map<object, Running>()
  const arm = (id: object, running: Running, delayMs: number) => {
    running.cancel = clock.after(delayMs, () => {
      if (running.repeatMs > 0) arm(id, running, running.repeatMs)
      else timers.delete(id)
      running.callback(id)
    })
  }
  const timer: Timer = {
    set(callback, delayMs = 0, repeatMs = 0) {
      if (timers.size >= timersMax) throw new RangeError(`more than ${timersMax} timers`)
      const id = {}
      const running = { callback, repeatMs, cancel: () => {} }
      timers.set(id, running)
      arm(id, running, delayMs)
      return id
    },
    repeat: (callback, intervalMs) => timer.set(callback, intervalMs, intervalMs),
    schedule(id, delayMs, repeatMs = 0) {
      const running = timers.get(id)
      if (!running) return
      running.cancel()
      running.repeatMs = repeatMs
      arm(id, running, delayMs)
    },
    clear(id) {
      const running = id && timers.get(id)
      running?.cancel()
      if (id) timers.delete(id)
    },
    delay(ms) {
      if (!(ms >= 0 && ms <= delayMsMax))
        throw new RangeError(`a delay of ${ms} ms; at most ${delayMsMax} ms`)
      if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    },
  }
  return timer
}
