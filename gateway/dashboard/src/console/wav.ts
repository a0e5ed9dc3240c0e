/**
 * A recording as WAV, PCM 16 bit mono (Microsoft, "Multimedia Programming Interface and Data Specifications 1.0",
 * 1991, chapter 3). Pure.
 */
const headerBytes = 44
const bytesPerSample = 2

export function encodeWav(samples: Float32Array, sampleRateHz: number): ArrayBuffer {
  const dataBytes = samples.length * bytesPerSample
  const buffer = new ArrayBuffer(headerBytes + dataBytes)
  const view = new DataView(buffer)
  const text = (at: number, word: string) => {
    for (let i = 0; i < word.length; i++) view.setUint8(at + i, word.charCodeAt(i))
  }
  text(0, 'RIFF')
  view.setUint32(4, headerBytes - 8 + dataBytes, true)
  text(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, 1, true)
  view.setUint32(24, sampleRateHz, true)
  view.setUint32(28, sampleRateHz * bytesPerSample, true)
  view.setUint16(32, bytesPerSample, true)
  view.setUint16(34, 8 * bytesPerSample, true)
  text(36, 'data')
  view.setUint32(40, dataBytes, true)
  for (let i = 0; i < samples.length; i++) {
    const sample = Math.max(-1, Math.min(1, samples[i] ?? 0))
    view.setInt16(headerBytes + i * bytesPerSample, Math.round(sample * 0x7fff), true)
  }
  return buffer
}
