/**
 * Reads RIFF/WAVE recordings into mono samples. Takes what real programs write: chunks in any order, a missing pad
 * byte, streaming headers with an unknown length, a file cut short. Never allocates more than the limit asks for.
 * Source: Microsoft/IBM "Multimedia Programming Interface and Data Specifications 1.0" (1991), and "Multiple channel
 * audio data and WAVE files" for WAVE_FORMAT_EXTENSIBLE.
 */
import { PerceptionError } from './perception-error.ts'
import { decoderFor, type SampleDecoder } from './wav-samples.ts'

export interface Recording {
  readonly sampleRateHz: number
  /** Channels in the file; what is read is their mean. */
  readonly channels: number
  /** Samples of one channel. */
  readonly frames: number
  /** Samples in [-1, 1], from frame `from` to, not including, `to`: a long file need not be decoded at one go. */
  read(from: number, to: number): Float32Array
}

export interface WavLimits {
  readonly audioSMax: number
}

interface Format {
  readonly sampleRateHz: number
  readonly channels: number
  readonly frameBytes: number
  readonly decode: SampleDecoder
}

const rateHz = { min: 8_000, max: 192_000 }
const channelsMax = 32
const pcmTag = 1
const floatTag = 3
const extensibleTag = 0xfffe
/** The end of every KSDATAFORMAT_SUBTYPE GUID; its first two bytes are the format tag. */
const subtypeTail = '000000001000800000aa00389b71'

/** Checks the file; decodes nothing yet. Throws PerceptionError. */
export function openWav(file: Uint8Array, limits: WavLimits): Recording {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const magic = bytes.toString('latin1', 0, 4)
  if (magic === 'RF64' || magic === 'RIFX') throw unsupported(`it is an ${magic} file; only RIFF is read`)
  if (magic !== 'RIFF' || bytes.toString('latin1', 8, 12) !== 'WAVE')
    throw new PerceptionError(
      'not-a-wav',
      'the recording is not a WAVE file: it does not start with RIFF…WAVE',
    )
  const { format, sound } = readChunks(bytes)
  const frames = Math.floor(sound.byteLength / format.frameBytes)
  if (frames === 0) throw new PerceptionError('empty', 'the recording is empty: it has no samples')
  const seconds = frames / format.sampleRateHz
  if (seconds > limits.audioSMax) throw tooLong(seconds, limits.audioSMax)
  return {
    sampleRateHz: format.sampleRateHz,
    channels: format.channels,
    frames,
    read: (from, to) => mixDown(sound, Math.max(0, from), Math.min(to, frames), format),
  }
}

/** The whole recording at once. Throws PerceptionError. */
export function readWav(
  file: Uint8Array,
  limits: WavLimits,
): { sampleRateHz: number; channels: number; samples: Float32Array } {
  const { sampleRateHz, channels, frames, read } = openWav(file, limits)
  return { sampleRateHz, channels, samples: read(0, frames) }
}

export function tooLong(seconds: number, audioSMax: number): PerceptionError {
  const line = `the recording is ${Math.round(seconds)} s long; at most ${audioSMax} s are heard at once: cut it`
  return new PerceptionError('too-long', line)
}

/** The first `fmt ` and `data` chunks, wherever they are. */
function readChunks(bytes: Buffer): { format: Format; sound: Buffer } {
  let format: Format | undefined
  let sound: Buffer | undefined
  let at = 12
  while (at + 8 <= bytes.byteLength && !(format && sound)) {
    const id = bytes.toString('latin1', at, at + 4)
    const start = at + 8
    // A streaming writer puts 0xFFFFFFFF, and a cut file promises more than there is: take what is there.
    const end = Math.min(start + bytes.readUInt32LE(at + 4), bytes.byteLength)
    if (id === 'fmt ' && !format) format = parseFormat(bytes.subarray(start, end))
    if (id === 'data' && !sound) sound = bytes.subarray(start, end)
    // Chunks start at even offsets. Writers that forget the pad byte show a chunk id there, which is never 0.
    const padded = (end - start) % 2 === 1 && (bytes[end] ?? 0) === 0
    at = padded ? end + 1 : end
  }
  if (!format)
    throw new PerceptionError('not-a-wav', 'the recording is a damaged WAVE file: it has no format chunk')
  if (!sound) throw new PerceptionError('empty', 'the recording is empty: it has no data chunk')
  return { format, sound }
}

function parseFormat(chunk: Buffer): Format {
  if (chunk.byteLength < 16)
    throw new PerceptionError(
      'not-a-wav',
      'the recording is a damaged WAVE file: its format chunk is too short',
    )
  const channels = chunk.readUInt16LE(2)
  const sampleRateHz = chunk.readUInt32LE(4)
  const frameBytes = chunk.readUInt16LE(12)
  const bits = chunk.readUInt16LE(14)
  const tag = formatTag(chunk)
  const decode = decoderFor(tag === floatTag ? 'float' : 'pcm', bits)
  if ((tag !== pcmTag && tag !== floatTag) || !decode)
    throw unsupported(`its encoding (tag ${tag}, ${bits} bits) is not PCM of 8 to 32 bits or float`)
  if (channels < 1 || channels > channelsMax)
    throw unsupported(`it has ${channels} channels; 1 to ${channelsMax} are read`)
  if (sampleRateHz < rateHz.min || sampleRateHz > rateHz.max)
    throw unsupported(`its sample rate is ${sampleRateHz} Hz; ${rateHz.min} to ${rateHz.max} Hz are read`)
  if (frameBytes !== (channels * bits) / 8)
    throw unsupported(
      `its format chunk contradicts itself: ${channels} × ${bits} bits in ${frameBytes} bytes`,
    )
  return { sampleRateHz, channels, frameBytes, decode }
}

function formatTag(chunk: Buffer): number {
  const tag = chunk.readUInt16LE(0)
  if (tag !== extensibleTag || chunk.byteLength < 40) return tag
  return chunk.toString('hex', 26, 40) === subtypeTail ? chunk.readUInt16LE(24) : tag
}

function mixDown(sound: Buffer, from: number, to: number, format: Format): Float32Array {
  const { channels, decode, frameBytes } = format
  const sampleBytes = frameBytes / channels
  const mono = new Float32Array(Math.max(0, to - from))
  for (let frame = 0; frame < mono.length; frame += 1) {
    const at = (from + frame) * frameBytes
    let sum = 0
    for (let channel = 0; channel < channels; channel += 1) sum += decode(sound, at + channel * sampleBytes)
    mono[frame] = sum / channels
  }
  return mono
}

function unsupported(why: string): PerceptionError {
  return new PerceptionError('unsupported-format', `the recording cannot be read: ${why}`)
}
