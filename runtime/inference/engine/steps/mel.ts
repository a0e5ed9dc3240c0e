/**
 * `mel`: samples FP32 [n] to a mel spectrogram [frames,bins]: Hann window (periodic), power spectrum to `power` / 2, mel filters,
 * logarithm of what came out plus `offset` (natural, or 10 log10). `mfcc`: its discrete cosine transform, the first `count`.
 *
 * Filters `tensorflow`: `tf.signal.linear_to_mel_weight_matrix`, triangles in mel (HTK: 1127 ln(1 + f / 700)), the constant
 * bin left out; `mfcc` is `tf.signal.mfccs_from_log_mel_spectrograms` (DCT-II, × 1 / √(2 × bins)). Filters
 * `librosa`: `librosa.filters.mel`, triangles in hertz between places on Slaney's scale, each of area 1.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { Fourier } from './fourier.ts'
import { soundOf } from './sound.ts'
import { describe, fault, floatsOf, type StepKind } from './step.ts'

type Mel = StepOf<'mel'>

/** Weights of one mel bin, from one place of the spectrum on. */
interface Filter {
  readonly first: number
  readonly weights: Float64Array
}

export const mel: StepKind<Mel, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare(step) {
    const { window, stride, fft, bins } = step
    const fourier = new Fourier(fft)
    const hann = Float64Array.from(
      { length: window },
      (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / window),
    )
    const filters = step.filters === 'tensorflow' ? tensorflowFilters(step) : librosaFilters(step)
    const frame = new Float64Array(fft)
    const spectrum = new Float64Array(fft / 2 + 1)
    const margin = step.pad === 'none' ? 0 : fft / 2
    // A window shorter than its transform: librosa centres it, TensorFlow puts it first.
    const lead = step.filters === 'librosa' ? Math.floor((fft - window) / 2) : 0
    const span = step.filters === 'librosa' ? fft : window
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const sound = soundOf(content)
        const count = 1 + Math.floor((sound.length + 2 * margin - span) / stride)
        if (count < 1 || (step.pad === 'reflect' && sound.length <= margin))
          fault(`${describe(content)} is too short for a frame of ${span} samples`)
        const data = buffers.take('FP32', count * bins)
        for (let at = 0; at < count; at += 1) {
          const start = at * stride - margin + lead
          for (let n = 0; n < window; n += 1)
            frame[lead + n] = (hann[n] as number) * sampleAt(sound, start + n, step.pad)
          fourier.powers(frame, spectrum)
          if (step.power === 1)
            for (let k = 0; k < spectrum.length; k += 1) spectrum[k] = Math.sqrt(spectrum[k] as number)
          for (const [bin, filter] of filters.entries())
            data[at * bins + bin] = logarithm(weigh(spectrum, filter), step)
        }
        return { out: { datatype: 'FP32', shape: [count, bins], data } }
      },
    }
  },
}

function sampleAt(sound: Float32Array, at: number, pad: Mel['pad']): number {
  if (at >= 0 && at < sound.length) return sound[at] as number
  if (pad !== 'reflect') return 0
  return sound[at < 0 ? -at : 2 * (sound.length - 1) - at] as number
}

function weigh(spectrum: Float64Array, { first, weights }: Filter): number {
  let sum = 0
  for (let at = 0; at < weights.length; at += 1)
    sum += (spectrum[first + at] as number) * (weights[at] as number)
  return sum
}

function logarithm(value: number, { log, offset }: Mel): number {
  if (log === 'none') return value
  return log === 'natural' ? Math.log(value + offset) : 10 * Math.log10(value + offset)
}

function tensorflowFilters({ bins, fft, rateHz, lowHz, highHz }: Mel): Filter[] {
  const melOf = (hz: number) => 1127 * Math.log(1 + hz / 700)
  const edges = spaced(melOf(lowHz), melOf(highHz), bins + 2)
  const places = Array.from({ length: fft / 2 + 1 }, (_, k) => (k === 0 ? -1 : melOf((k * rateHz) / fft)))
  return triangles(edges, places, () => 1)
}

function librosaFilters({ bins, fft, rateHz, lowHz, highHz }: Mel): Filter[] {
  const edges = spaced(slaney(lowHz), slaney(highHz), bins + 2).map(slaneyHz)
  const places = Array.from({ length: fft / 2 + 1 }, (_, k) => (k * rateHz) / fft)
  return triangles(edges, places, (low, high) => 2 / (high - low))
}

function triangles(
  edges: readonly number[],
  places: readonly number[],
  height: (low: number, high: number) => number,
): Filter[] {
  return edges.slice(0, -2).map((low, bin) => {
    const [centre, high] = edges.slice(bin + 1, bin + 3) as [number, number]
    const weights = places.map(
      (place) =>
        Math.max(0, Math.min((place - low) / (centre - low), (high - place) / (high - centre))) *
        height(low, high),
    )
    const first = weights.findIndex((weight) => weight > 0)
    const end = weights.findLastIndex((weight) => weight > 0) + 1
    return { first: Math.max(first, 0), weights: Float64Array.from(weights.slice(Math.max(first, 0), end)) }
  })
}

function spaced(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => from + ((to - from) * at) / (count - 1))
}

/** M. Slaney, "Auditory Toolbox", 1998: linear to 1 kHz (66.7 Hz a mel), then 27 mels for a factor of 6.4. */
const linearHz = 200 / 3
const bendHz = 1000
const bendMel = bendHz / linearHz
const logStep = Math.log(6.4) / 27

function slaney(hz: number): number {
  return hz < bendHz ? hz / linearHz : bendMel + Math.log(hz / bendHz) / logStep
}

function slaneyHz(mels: number): number {
  return mels < bendMel ? mels * linearHz : bendHz * Math.exp(logStep * (mels - bendMel))
}

export const mfcc: StepKind<StepOf<'mfcc'>, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare({ count }) {
    let cosines: Float64Array = new Float64Array(0)
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const [frames = 0, bins = 0] = content.shape
        if (content.shape.length !== 2 || bins < count)
          fault(`${describe(content)} is no spectrogram of ${count} bins or more`)
        if (cosines.length !== count * bins) cosines = cosineTable(count, bins)
        const from = floatsOf(content)
        const data = buffers.take('FP32', frames * count)
        for (let frame = 0; frame < frames; frame += 1)
          for (let k = 0; k < count; k += 1) {
            let sum = 0
            for (let n = 0; n < bins; n += 1)
              sum += (from[frame * bins + n] as number) * (cosines[k * bins + n] as number)
            data[frame * count + k] = sum
          }
        return { out: { datatype: 'FP32', shape: [frames, count], data } }
      },
    }
  },
}

/** 2 cos(π k (n + ½) / bins) / √(2 bins). */
function cosineTable(count: number, bins: number): Float64Array {
  const scale = 2 / Math.sqrt(2 * bins)
  return Float64Array.from({ length: count * bins }, (_, at) => {
    const [k, n] = [Math.floor(at / bins), at % bins]
    return scale * Math.cos((Math.PI * k * (n + 0.5)) / bins)
  })
}
