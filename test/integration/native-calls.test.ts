/** A thread that is in native code is ended, without the process going down with it [linux-native-1]. */
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { endThread, isInNative, nativeWords } from '../../hal/linux/native-calls.ts'

function start(callMs: number) {
  const shared = new SharedArrayBuffer(4 * (nativeWords + 1))
  const words = new Int32Array(shared, 0, nativeWords)
  const rounds = new Int32Array(shared, 4 * nativeWords, 1)
  const url = new URL('../fixtures/hardware/native-loop.ts', import.meta.url)
  return { worker: new Worker(url, { workerData: { words, callMs } }), words, rounds }
}

const firstRound = async (rounds: Int32Array) => {
  const { value } = Atomics.waitAsync(rounds, 0, 0, 20_000)
  return value
}

it('a loop of short native calls ends', async () => {
  const { worker, words, rounds } = start(5)
  expect(await firstRound(rounds)).not.toBe('timed-out')
  await endThread(worker, words)
  expect(isInNative(words)).toBe(false)
}, 30_000)

it('a long native call ends first', async () => {
  const { worker, words, rounds } = start(700)
  expect(await firstRound(rounds)).not.toBe('timed-out')
  await endThread(worker, words)
  expect(Atomics.load(rounds, 0)).toBeLessThanOrEqual(2)
  expect(isInNative(words)).toBe(false)
}, 30_000)

it('a thread may be asked to end at any moment of its loading', async () => {
  for (let waitMs = 0; waitMs < 200; waitMs += 20) {
    const { worker, words } = start(5)
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    await endThread(worker, words)
  }
}, 60_000)
