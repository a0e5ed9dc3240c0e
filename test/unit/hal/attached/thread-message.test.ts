/** What a thread of sensors may say to the control loop; a module from disk can post anything. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFromThread } from '../../../../hal/attached/thread-message.ts'

const reading = { channels: { temperature: { value: 21, quality: 'ok' } }, tsMs: 1_795_372_704_797 }
const outcomes = (outcome: unknown) => ({ type: 'outcomes', outcomes: [[0, outcome]] })

describe('messages of a thread of sensors', () => {
  it('pass when they are ours', () => {
    for (const message of [
      outcomes({ reading, faults: ['it warms up'] }),
      outcomes({ error: { code: 'timeout', message: 'cellar: late' }, lost: true }),
      { type: 'log', level: 'warn', message: 'text', fields: {} },
      { type: 'emulated', call: 3, answer: { world: { temperature: 3 } } },
      { type: 'ending', why: 'its buffers hold 100 MB' },
      { type: 'closed' },
    ])
      expect(isFromThread(message), JSON.stringify(message)).toBe(true)
  })

  it('do not pass with a value, a time, a channel or a quality that cannot be [attached-11]', () => {
    const value = (value: unknown, quality: unknown = 'ok') => ({
      reading: { ...reading, channels: { temperature: { value, quality } } },
      faults: [],
    })
    for (const outcome of [
      value(Number.NaN),
      value('21'),
      value(21, 'great'),
      { reading: { ...reading, tsMs: 1e300 }, faults: [] },
      { reading: { ...reading, channels: { __proto__x: { value: 1, quality: 'ok' } } }, faults: [] },
      { reading, faults: 'text' },
      { error: 'text', lost: false },
    ])
      expect(isFromThread(outcomes(outcome)), JSON.stringify(outcome)).toBe(false)
    expect(isFromThread({ type: 'outcomes', outcomes: 5 })).toBe(false)
    expect(isFromThread({ type: 'log', level: 'loud', message: 'text', fields: {} })).toBe(false)
  })

  it('are judged without an exception, whatever they are', () => {
    const kinds = fc.constantFrom('outcomes', 'log', 'emulated', 'ending', 'closed', 'other')
    const message = fc.oneof(
      fc.anything(),
      fc
        .tuple(kinds, fc.anything(), fc.anything())
        .map(([type, a, b]) => ({ type, outcomes: a, answer: b, call: 1 })),
      fc.anything().map((entry) => outcomes(entry)),
    )
    fc.assert(
      fc.property(message, (made) => typeof isFromThread(made) === 'boolean'),
      { numRuns: 500 },
    )
  })
})
