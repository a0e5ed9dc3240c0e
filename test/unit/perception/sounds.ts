/** Sounds and recordings made for tests. */

export function sine(hz: number, sampleRateHz: number, seconds: number, amplitude = 0.5): Float32Array {
  return Float32Array.from(
    { length: Math.round(seconds * sampleRateHz) },
    (_, at) => amplitude * Math.sin((2 * Math.PI * hz * at) / sampleRateHz),
  )
}

/** Root mean square of the samples, without `margin` at both ends. */
export function rms(samples: Float32Array, margin = 0): number {
  const inner = samples.subarray(margin, samples.length - margin)
  return Math.sqrt(inner.reduce((sum, sample) => sum + sample * sample, 0) / inner.length)
}

export interface WavShape {
  readonly kind: 'pcm' | 'float'
  readonly bits: number
  readonly sampleRateHz: number
  readonly channels: number
  readonly extensible?: boolean
}

/** Writes each sample to every channel. */
export function encodeWav(samples: ArrayLike<number>, shape: WavShape): Buffer {
  const sound = Buffer.concat(
    Array.from(samples, (sample) =>
      Array.from({ length: shape.channels }, () => encodeSample(sample, shape)),
    ).flat(),
  )
  return riff([chunk('fmt ', formatChunk(shape)), chunk('data', sound)])
}

export function formatChunk({ kind, bits, sampleRateHz, channels, extensible = false }: WavShape): Buffer {
  const tag = kind === 'pcm' ? 1 : 3
  const frameBytes = (channels * bits) / 8
  const format = Buffer.alloc(extensible ? 40 : 16)
  format.writeUInt16LE(extensible ? 0xfffe : tag, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(sampleRateHz, 4)
  format.writeUInt32LE(sampleRateHz * frameBytes, 8)
  format.writeUInt16LE(frameBytes, 12)
  format.writeUInt16LE(bits, 14)
  if (!extensible) return format
  format.writeUInt16LE(22, 16)
  format.writeUInt16LE(bits, 18)
  format.writeUInt16LE(tag, 24)
  format.write('000000001000800000aa00389b71', 26, 'hex')
  return format
}

export function chunk(id: string, content: Buffer, declaredBytes = content.byteLength): Buffer {
  const header = Buffer.alloc(8)
  header.write(id, 'latin1')
  header.writeUInt32LE(declaredBytes, 4)
  return Buffer.concat([header, content, Buffer.alloc(content.byteLength % 2)])
}

export function riff(chunks: readonly Buffer[]): Buffer {
  const content = Buffer.concat(chunks)
  const header = Buffer.alloc(12)
  header.write('RIFF')
  header.writeUInt32LE(content.byteLength + 4, 4)
  header.write('WAVE', 8)
  return Buffer.concat([header, content])
}

function encodeSample(sample: number, { kind, bits }: WavShape): Buffer {
  const bytes = Buffer.alloc(bits / 8)
  if (kind === 'float') {
    if (bits === 32) bytes.writeFloatLE(sample)
    else bytes.writeDoubleLE(sample)
    return bytes
  }
  const scale = 2 ** (bits - 1)
  const value = Math.max(-scale, Math.min(scale - 1, Math.round(sample * scale)))
  if (bits === 8) bytes.writeUInt8(value + 128)
  else bytes.writeIntLE(value, 0, bits / 8)
  return bytes
}
