import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  frameSamples,
  type SegmentEvent,
  Segmenter,
  segmentDefaults,
  segmentsOf,
} from '../../../runtime/perception/hearing/segment.ts'

/** 32 ms each. */
const frames = (count: number, probability: number) => new Array<number>(count).fill(probability)
const segments = (probabilities: number[]) => segmentsOf(probabilities, probabilities.length * frameSamples)
const inFrames = (probabilities: number[]) =>
  segments(probabilities).map(({ start, end }) => [start / frameSamples, end / frameSamples])

describe('segmentsOf', () => {
  test('finds nothing in silence', () => {
    expect(segments(frames(100, 0.1))).toEqual([])
  })

  test('finds speech, with padding of five frames at both ends', () => {
    expect(inFrames([...frames(20, 0), ...frames(30, 0.9), ...frames(40, 0)])).toEqual([[15, 55]])
  })

  test('does not end at a dip within the hysteresis, nor at a short silence', () => {
    const dip = [...frames(20, 0.9), ...frames(40, 0.4), ...frames(20, 0.9)]
    const pause = [...frames(20, 0.9), ...frames(15, 0), ...frames(20, 0.9)]
    expect(segments(dip)).toHaveLength(1)
    expect(segments(pause)).toHaveLength(1)
  })

  test('ends at a silence of 600 ms', () => {
    expect(segments([...frames(20, 0.9), ...frames(20, 0), ...frames(20, 0.9)])).toHaveLength(2)
  })

  test('drops a click', () => {
    expect(segments([...frames(20, 0), ...frames(3, 0.99), ...frames(40, 0)])).toEqual([])
  })

  test('takes speech that the recording cuts off', () => {
    expect(inFrames([...frames(10, 0), ...frames(30, 0.9)])).toEqual([[5, 40]])
  })

  test('cuts endless speech at its last pause', () => {
    const speech = [...frames(600, 0.9), ...frames(8, 0), ...frames(400, 0.9)]
    const [first, second] = inFrames(speech)
    expect(first?.[0]).toBe(0)
    expect(first?.[1]).toBeLessThanOrEqual(600 + 5)
    expect(second?.[1]).toBe(speech.length)
  })

  test('gives segments in order, apart, within the sound and of bounded length, whatever the probabilities', () => {
    const stretch = fc.tuple(fc.integer({ min: 1, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }))
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 12 }), (stretches) => {
        const probabilities = stretches.flatMap(([count, probability]) => frames(count, probability))
        const found = segments(probabilities)
        let last = 0
        for (const { start, end } of found) {
          expect(start).toBeGreaterThanOrEqual(last)
          expect(end).toBeGreaterThan(start)
          const most = segmentDefaults.speechMsMax + 2 * segmentDefaults.padMs
          expect((end - start) / 16).toBeLessThanOrEqual(most)
          last = end
        }
        expect(last).toBeLessThanOrEqual(probabilities.length * frameSamples)
      }),
    )
  })
})

describe('Segmenter', () => {
  const eventsOf = (probabilities: number[]) => {
    const segmenter = new Segmenter()
    const events: SegmentEvent[] = probabilities.flatMap((probability) => segmenter.push(probability))
    return [...events, ...segmenter.finish()]
  }

  test('reports a pause early, with the very segment that its end confirms', () => {
    const events = eventsOf([...frames(10, 0), ...frames(30, 0.9), ...frames(30, 0)])
    expect(events.map((event) => event.kind)).toEqual(['start', 'pause', 'end'])
    const [, pause, end] = events
    expect({ ...pause, kind: 'end' }).toEqual(end)
  })

  test('takes a pause back when speech goes on', () => {
    const events = eventsOf([...frames(30, 0.9), ...frames(10, 0), ...frames(10, 0.9), ...frames(30, 0)])
    expect(events.map((event) => event.kind)).toEqual(['start', 'pause', 'resume', 'pause', 'end'])
  })

  test('says when what had started was too short', () => {
    expect(eventsOf([...frames(3, 0.9), ...frames(30, 0)]).map((event) => event.kind)).toEqual([
      'start',
      'pause',
      'dropped',
    ])
  })
})
