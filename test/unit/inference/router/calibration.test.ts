/** Temperature and threshold of a cascade, on made-up models whose truth is known. */
import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import {
  calibrate,
  chooseThreshold,
  type Example,
  expectedCalibrationError,
  normalQuantile,
  wilsonLower,
} from '../../../../runtime/inference/router/calibration.ts'
import { confidenceOf } from '../../../../runtime/inference/router/cascade.ts'

/** A model with two classes that is right as often as softmax(logits / 2.5) says: over-sure by that temperature. */
function examples(count: number, seed: number): Example[] {
  const clock = new VirtualClock({ seed })
  return Array.from({ length: count }, () => {
    const gap = 10 * clock.random()
    const right = clock.random() < 1 / (1 + Math.exp(-gap / 2.5))
    const label = clock.random() < 0.5 ? 0 : 1
    const said = right ? label : 1 - label
    const large = clock.random() < 0.98 ? label : 1 - label
    return { scores: said === 0 ? [gap, 0] : [0, gap], label, large: large === 0 ? [4, 0] : [0, 4] }
  })
}

describe('calibration', () => {
  it('finds the temperature at which the model is as sure as it is right [router-13]', () => {
    const { temperature, eceBefore, eceAfter, smallAccuracy, largeAccuracy } = calibrate(examples(4000, 3))
    expect(temperature).toBeGreaterThan(2.2)
    expect(temperature).toBeLessThan(2.8)
    expect(eceAfter).toBeLessThan(eceBefore / 3)
    expect(eceAfter).toBeLessThan(0.03)
    expect(largeAccuracy).toBeGreaterThan(smallAccuracy)
  })

  it('helps on data that it was not made from [router-13]', () => {
    const { temperature } = calibrate(examples(2000, 5))
    const others = examples(2000, 6)
    expect(expectedCalibrationError(others, temperature)).toBeLessThan(
      expectedCalibrationError(others, 1) / 2,
    )
  })

  it('the threshold keeps its promise on other data, and hands on no more than it must [router-13]', () => {
    const { temperature } = calibrate(examples(4000, 7))
    const options = { temperature, accuracy: 0.95, confidence: 0.95 }
    const {
      threshold,
      keptShare,
      keptAccuracyBound,
      accuracy = 0,
    } = chooseThreshold(examples(4000, 8), options)
    expect(keptAccuracyBound).toBeGreaterThanOrEqual(0.95)
    expect(keptShare).toBeGreaterThan(0.2)
    expect(accuracy).toBeGreaterThan(0.95)
    const kept = examples(4000, 9).filter(({ scores }) => confidenceOf(scores, temperature) >= threshold)
    const right = kept.filter(
      ({ scores, label }) => (Number(scores[1]) > Number(scores[0]) ? 1 : 0) === label,
    )
    expect(right.length / kept.length).toBeGreaterThanOrEqual(0.95)
  })

  it('where no threshold can promise it, everything goes to the large model [router-13]', () => {
    const few = chooseThreshold(examples(15, 1), { temperature: 2.5, accuracy: 0.9, confidence: 0.95 })
    expect(few.threshold).toBeGreaterThan(1)
    expect(few.keptShare).toBe(0)
  })

  it('the bounds are those of the books', () => {
    expect(normalQuantile(0.975)).toBeCloseTo(1.96, 2)
    // Wilson, 1927; Brown, Cai and DasGupta, 2001.
    expect(wilsonLower(10, 10, 1.96)).toBeCloseTo(0.722, 2)
    expect(wilsonLower(0, 0, 1.96)).toBe(0)
  })

  it('probabilities and logits give the same confidence; what is no number gives none', () => {
    const logits = [1, 3, 0]
    const sum = logits.reduce((total, one) => total + Math.exp(one), 0)
    const probabilities = logits.map((one) => Math.exp(one) / sum)
    expect(confidenceOf(probabilities, 1.7)).toBeCloseTo(confidenceOf(logits, 1.7), 6)
    expect(confidenceOf([Number.NaN, 1], 1)).toBe(0)
  })
})
