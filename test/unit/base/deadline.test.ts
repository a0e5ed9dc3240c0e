import { describe, expect, test } from 'vitest'
import { sleep, VirtualClock } from '../../../runtime/base/clock.ts'
import { DeadlineError, withDeadline } from '../../../runtime/base/deadline.ts'

const never = () => new Promise<never>(() => {})

describe('withDeadline', () => {
  test('gives what the work gives when it is in time, and leaves no timer behind', async () => {
    const clock = new VirtualClock()
    const result = await clock.run(() =>
      withDeadline(clock, 'the answer', 1000, async () => {
        await sleep(clock, 10)
        return 42
      }),
    )
    expect(result).toBe(42)
    await clock.run(async () => undefined)
    expect(clock.monotonicMs()).toBe(10)
  })

  test('names what took too long, and says that trying again can help [base-3]', async () => {
    const clock = new VirtualClock()
    const failure = await clock
      .run(() => withDeadline(clock, 'opening the link', 250, never))
      .catch((error) => error)
    expect(failure).toBeInstanceOf(DeadlineError)
    expect(failure).toMatchObject({
      code: 'deadline',
      retryable: true,
      message: 'opening the link took longer than 250 ms',
    })
  })

  test('tells the work by its signal', async () => {
    const clock = new VirtualClock()
    let reason: unknown
    const work = (signal: AbortSignal) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason
      })
      return never()
    }
    const failure = await clock.run(() => withDeadline(clock, 'it', 5, work)).catch((error) => error)
    expect(failure).toBeInstanceOf(DeadlineError)
    expect(reason).toBe(failure)
  })

  test('rejects with the reason of the parent when that aborts first', async () => {
    const clock = new VirtualClock()
    const parent = new AbortController()
    clock.after(10, () => parent.abort(new Error('stopping')))
    await expect(clock.run(() => withDeadline(clock, 'it', 1000, never, parent.signal))).rejects.toThrow(
      'stopping',
    )
    expect(clock.monotonicMs()).toBe(10)
  })

  test('does not start work for a parent that has aborted already', async () => {
    let started = false
    const work = async () => {
      started = true
    }
    const parent = AbortSignal.abort(new Error('gone'))
    await expect(withDeadline(new VirtualClock(), 'it', 10, work, parent)).rejects.toThrow('gone')
    expect(started).toBe(false)
  })

  test('a failure of the work after its deadline is nobody else’s unhandled rejection', async () => {
    const clock = new VirtualClock()
    const unhandled: unknown[] = []
    const listen = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listen)
    try {
      const work = async (signal: AbortSignal) => {
        await sleep(clock, 100, signal).catch(() => {})
        throw new Error('too late to matter')
      }
      await expect(clock.run(() => withDeadline(clock, 'it', 5, work))).rejects.toThrow(DeadlineError)
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', listen)
    }
  })
})
