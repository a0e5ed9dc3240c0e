import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Resampler, resample } from '../../../runtime/inference/engine/steps/resampler.ts'
import { rms, sine } from './sounds.ts'

const rate = fc.integer({ min: 8_000, max: 192_000 })
const decibels = (ratio: number) => 20 * Math.log10(ratio)

describe('resample', () => {
  test.each([8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])(
    'keeps a 1 kHz sine from %i Hz as it is',
    (fromHz) => {
      const result = resample(sine(1_000, fromHz, 0.4), fromHz, 16_000)
      const wanted = sine(1_000, 16_000, 0.4)
      expect(result.length).toBe(wanted.length)
      const error = result.map((sample, at) => sample - (wanted[at] ?? 0))
      expect(decibels(rms(error, 400) / rms(wanted))).toBeLessThan(-60)
    },
  )

  test.each([
    [48_000, 9_000],
    [48_000, 15_000],
    [48_000, 23_000],
    [44_100, 8_200],
    [44_100, 20_000],
    [192_000, 40_000],
  ])('lets nothing of a tone above 8 kHz through: from %i Hz, %i Hz is 60 dB down', (fromHz, toneHz) => {
    const tone = sine(toneHz, fromHz, 0.5)
    expect(decibels(rms(resample(tone, fromHz, 16_000), 400) / rms(tone))).toBeLessThan(-60)
  })

  test('adds no image when the rate goes up: 3 kHz at 8 kHz stays one tone at 16 kHz', () => {
    const result = resample(sine(3_000, 8_000, 0.5), 8_000, 16_000)
    const image = sine(5_000, 16_000, 0.5)
    const correlation = result.reduce((sum, sample, at) => sum + sample * (image[at] ?? 0), 0)
    const own = result.reduce((sum, sample) => sum + sample * sample, 0)
    expect(decibels(Math.abs(correlation) / own)).toBeLessThan(-60)
  })

  test('gives round(length × to / from) samples for any rates and lengths', () => {
    fc.assert(
      fc.property(rate, rate, fc.integer({ min: 0, max: 3_000 }), (fromHz, toHz, length) => {
        const result = resample(new Float32Array(length), fromHz, toHz)
        expect(result.length).toBe(Math.round((length * toHz) / fromHz))
      }),
      { numRuns: 40 },
    )
  })

  test('gives the same samples in pieces as in one', () => {
    const cuts = fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 12 })
    fc.assert(
      fc.property(rate, cuts, (fromHz, lengths) => {
        const samples = sine(700, fromHz, 0.05)
        const resampler = new Resampler(fromHz, 16_000)
        const pieces: number[] = []
        let from = 0
        for (const length of [...lengths, samples.length]) {
          pieces.push(...resampler.push(samples.subarray(from, from + length)))
          from += length
        }
        pieces.push(...resampler.flush())
        expect(pieces).toEqual([...resample(samples, fromHz, 16_000)])
      }),
      { numRuns: 40 },
    )
  })
})
