/** One sample of a WAVE file to a number in [-1, 1]. Float samples that are no number are silence; loud ones clip. */

export type SampleDecoder = (bytes: Buffer, at: number) => number

const decoders: Readonly<Record<string, SampleDecoder>> = {
  // 8-bit PCM is unsigned, everything wider is signed.
  pcm8: (bytes, at) => (bytes.readUInt8(at) - 128) / 128,
  pcm16: (bytes, at) => bytes.readInt16LE(at) / 2 ** 15,
  pcm24: (bytes, at) => bytes.readIntLE(at, 3) / 2 ** 23,
  pcm32: (bytes, at) => bytes.readInt32LE(at) / 2 ** 31,
  float32: (bytes, at) => clipped(bytes.readFloatLE(at)),
  float64: (bytes, at) => clipped(bytes.readDoubleLE(at)),
}

/** Undefined for a width that is not read. */
export function decoderFor(kind: 'pcm' | 'float', bits: number): SampleDecoder | undefined {
  return decoders[`${kind}${bits}`]
}

function clipped(value: number): number {
  return Number.isNaN(value) ? 0 : Math.max(-1, Math.min(1, value))
}
