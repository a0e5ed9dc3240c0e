/**
 * Ending a thread that may be in native code. Measured with koffi 2 on Node 26: a thread that is ended while it loads the
 * library takes the process down, and one that is ended between its calls in a loop of them is never ended, as the request
 * gets lost on the way back from C. So the thread says when it is in native code, and whoever wants to end it asks first:
 * it then stands still before its next native call, where it can be ended.
 *
 * Invariant: [linux-native-1] a thread is ended only outside native code; one that never comes out of it is left alone.
 */
import type { Worker } from 'node:worker_threads'

/** Words in memory that both sides share, from the first of the array on. */
export const nativeWords = 2
const insideAt = 0
const stopAt = 1
const askAgainMs = 20

let shared: Int32Array | undefined

/** In the thread, before its first native call. */
export function sayNativeCalls(words: Int32Array): void {
  shared = words
}

/** Before native code; not to be nested. */
export function enterNative(): void {
  if (!shared) return
  Atomics.store(shared, insideAt, 1)
  if (Atomics.load(shared, stopAt) !== 0) leaveNative()
}

/** After native code, however it ended. Does not return where the thread is to be ended. */
export function leaveNative(): void {
  if (!shared) return
  Atomics.store(shared, insideAt, 0)
  while (Atomics.load(shared, stopAt) !== 0) Atomics.wait(shared, stopAt, 1)
}

export function isInNative(words: Int32Array): boolean {
  return Atomics.load(words, insideAt) !== 0
}

/** Ends a thread as soon as it is out of native code, and resolves when it has ended: never, where it does not come out. */
export function endThread(worker: Worker, words: Int32Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  // The process need not wait for a thread that nothing can end.
  worker.unref()
  Atomics.store(words, stopAt, 1)
  const ask = () => {
    if (!isInNative(words)) void worker.terminate()
  }
  const again = setInterval(ask, askAgainMs)
  again.unref()
  worker.once('exit', () => {
    clearInterval(again)
    resolve()
  })
  ask()
  return promise
}
