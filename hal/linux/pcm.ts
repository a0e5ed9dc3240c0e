/** What arecord and aplay share (man aplay(1)): signed 16-bit little-endian mono, raw on a pipe. */

const rates = { min: 8000, max: 48_000 }

/** One line when ALSA devices do not do this rate. */
export function pcmRateFault(rate: number): string | undefined {
  return Number.isInteger(rate) && rate >= rates.min && rate <= rates.max
    ? undefined
    : `${rate} Hz is not between ${rates.min} and ${rates.max}`
}

export function pcmArguments(device: string, rate: number): string[] {
  return ['-q', '-D', device, '-f', 'S16_LE', '-r', String(rate), '-c', '1', '-t', 'raw']
}

/** Samples in [-1, 1]; what is beyond is cut off, as a loudspeaker would. */
export function encodePcm(samples: Float32Array): Uint8Array {
  const bytes = new Uint8Array(2 * samples.length)
  const view = new DataView(bytes.buffer)
  for (const [index, sample] of samples.entries()) {
    const level = Math.round(sample * 32_768)
    view.setInt16(2 * index, Math.max(-32_768, Math.min(32_767, level)), true)
  }
  return bytes
}
