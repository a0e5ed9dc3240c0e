import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PerceptionError } from '../../../runtime/perception/hearing/perception-error.ts'
import { readWav } from '../../../runtime/perception/hearing/wav.ts'
import { chunk, encodeWav, formatChunk, riff, sine, type WavShape } from './sounds.ts'

const limits = { audioSMax: 120 }
const mono16 = { kind: 'pcm', bits: 16, sampleRateHz: 16_000, channels: 1 } as const
const format = chunk('fmt ', formatChunk(mono16))
const sound = Buffer.from([0, 64, 0, 192])
const heard = [0.5, -0.5]

describe('readWav', () => {
  test('gives back what any encoder of any width, rate and channel count wrote, within its quantisation', () => {
    const shape: fc.Arbitrary<WavShape> = fc
      .record({
        width: fc.constantFrom(
          ...(['pcm', 'pcm', 'pcm', 'pcm', 'float', 'float'] as const).map(
            (kind, at) => ({ kind, bits: [8, 16, 24, 32, 32, 64][at] ?? 0 }) as const,
          ),
        ),
        sampleRateHz: fc.integer({ min: 8_000, max: 192_000 }),
        channels: fc.integer({ min: 1, max: 8 }),
        extensible: fc.boolean(),
      })
      .map(({ width, ...rest }) => ({ ...width, ...rest }))
    const samples = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(shape, samples, (wav, original) => {
        const recording = readWav(encodeWav(original, wav), limits)
        expect(recording.sampleRateHz).toBe(wav.sampleRateHz)
        expect(recording.channels).toBe(wav.channels)
        expect(recording.samples.length).toBe(original.length)
        const step = wav.kind === 'pcm' ? 2 ** -(wav.bits - 1) : 0
        original.forEach((sample, at) => {
          expect(Math.abs((recording.samples[at] ?? 9) - sample)).toBeLessThanOrEqual(step + 1e-6)
        })
      }),
    )
  })

  test('mixes channels by their mean', () => {
    const stereo = chunk('fmt ', formatChunk({ ...mono16, channels: 2 }))
    const file = riff([stereo, chunk('data', Buffer.from([0, 64, 0, 192, 0, 64, 0, 64]))])
    expect([...readWav(file, limits).samples]).toEqual([0, 0.5])
  })

  test.each([
    [
      'chunks before, between and after',
      [
        chunk('LIST', Buffer.from('abc')),
        format,
        chunk('junk', sound),
        chunk('data', sound),
        chunk('id3 ', sound),
      ],
    ],
    ['the data before the format', [chunk('data', sound), format]],
    [
      'an odd chunk without its pad byte',
      [chunk('LIST', Buffer.from('abc')).subarray(0, 11), format, chunk('data', sound)],
    ],
    ['a streaming header of unknown length', [format, chunk('data', sound, 0xffffffff)]],
    ['a data chunk that promises more than there is', [format, chunk('data', sound, 1000)]],
    ['a sample cut in half at the end', [format, chunk('data', Buffer.concat([sound, Buffer.from([7])]))]],
  ])('reads a file with %s', (_what, chunks) => {
    expect([...readWav(riff(chunks), limits).samples]).toEqual(heard)
  })

  test('turns float samples that are no number into silence and clips loud ones', () => {
    const file = encodeWav([Number.NaN, Number.POSITIVE_INFINITY, -7, 0.25], {
      ...mono16,
      kind: 'float',
      bits: 32,
    })
    expect([...readWav(file, limits).samples]).toEqual([0, 1, -1, 0.25])
  })

  test.each([
    ['not-a-wav', 'text', Buffer.from('turn on the lamp, please')],
    ['not-a-wav', 'nothing', Buffer.alloc(0)],
    ['not-a-wav', 'a file without a format', riff([chunk('junk', sound)])],
    ['not-a-wav', 'a format chunk that is cut', riff([chunk('fmt ', Buffer.alloc(8)), chunk('data', sound)])],
    ['empty', 'no data chunk', riff([format])],
    ['empty', 'no samples', riff([format, chunk('data', Buffer.alloc(0))])],
    ['unsupported-format', 'MP3 in WAVE', riff([tagged(0x55), chunk('data', sound)])],
    [
      'unsupported-format',
      'no channels',
      riff([chunk('fmt ', formatChunk({ ...mono16, channels: 0 })), chunk('data', sound)]),
    ],
    [
      'unsupported-format',
      '1 Hz',
      riff([chunk('fmt ', formatChunk({ ...mono16, sampleRateHz: 1 })), chunk('data', sound)]),
    ],
    [
      'unsupported-format',
      '12 bits',
      riff([chunk('fmt ', formatChunk({ ...mono16, bits: 12 })), chunk('data', sound)]),
    ],
    [
      'unsupported-format',
      'RF64',
      Buffer.concat([Buffer.from('RF64'), riff([format, chunk('data', sound)]).subarray(4)]),
    ],
  ])('says %s for %s, in one line', (code, _what, file) => {
    const failure = failureOf(file)
    expect(failure?.code).toBe(code)
    expect(failure?.message).toMatch(/^the recording [^\n]+$/)
  })

  test('refuses ten minutes in one line that says the limit', () => {
    const file = encodeWav([], { ...mono16, sampleRateHz: 8_000 })
    const tenMinutes = Buffer.concat([
      file.subarray(0, 40),
      Buffer.alloc(4, 0xff),
      Buffer.alloc(10 * 60 * 16_000),
    ])
    expect(failureOf(tenMinutes)).toMatchObject({
      code: 'too-long',
      message: 'the recording is 600 s long; at most 120 s are heard at once: cut it',
    })
  })

  test('throws nothing but PerceptionError, whatever the bytes [hearing-1]', () => {
    const good = encodeWav(sine(440, 16_000, 0.01), mono16)
    const damaged = fc
      .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
      .map((changes) => {
        const copy = Buffer.from(good)
        for (const [at, value] of changes) copy[Math.min(at, at % 60)] = value
        return copy
      })
    const anyBytes = fc.uint8Array({ maxLength: 200 })
    const withMagic = anyBytes.map((bytes) => riff([Buffer.from(bytes)]))
    fc.assert(
      fc.property(fc.oneof(damaged, anyBytes, withMagic), (file) => {
        try {
          const { samples } = readWav(file, limits)
          expect(samples.length).toBeGreaterThan(0)
          expect(samples.length).toBeLessThanOrEqual(file.length)
          expect(samples.every((sample) => Math.abs(sample) <= 1)).toBe(true)
        } catch (error) {
          if (!(error instanceof PerceptionError)) throw error
        }
      }),
      { numRuns: 2000 },
    )
  })
})

function tagged(tag: number): Buffer {
  const content = formatChunk(mono16)
  content.writeUInt16LE(tag, 0)
  return chunk('fmt ', content)
}

function failureOf(file: Uint8Array): PerceptionError | undefined {
  try {
    readWav(file, limits)
  } catch (error) {
    if (error instanceof PerceptionError) return error
    throw error
  }
  return undefined
}
