/**
 * Records from the browser's microphone and gives WAV, 16 kHz mono: what the device's speech model hears. The browser
 * records in its own format; decoding into an audio context of 16 kHz resamples it. Needs a secure origin (HTTPS or
 * localhost), which `canRecord` tells.
 */
import { encodeWav } from './wav.ts'

const sampleRateHz = 16_000
/** A spoken command is over long before; a forgotten microphone must not stay open. */
export const recordingMsMax = 30_000

export function canRecord(): boolean {
  return (
    isSecureContext && navigator.mediaDevices !== undefined && typeof globalThis.MediaRecorder === 'function'
  )
}

export interface Recording {
  /** Stops and gives what was recorded. */
  stop(): Promise<Blob>
}

/** Throws with one line for a person when there is no microphone or it may not be used. */
export async function startRecording(onLimit: () => void): Promise<Recording> {
  const stream = await navigator.mediaDevices
    .getUserMedia({ audio: { channelCount: 1, noiseSuppression: true } })
    .catch((error: unknown) => {
      throw new Error(refusalWords(error))
    })
  const recorder = new MediaRecorder(stream)
  const chunks: Blob[] = []
  recorder.addEventListener('dataavailable', (event) => chunks.push(event.data))
  const stopped = new Promise<void>((resolve) => recorder.addEventListener('stop', () => resolve()))
  recorder.start()
  const limit = setTimeout(onLimit, recordingMsMax)
  return {
    async stop() {
      clearTimeout(limit)
      if (recorder.state !== 'inactive') recorder.stop()
      await stopped
      for (const track of stream.getTracks()) track.stop()
      const recorded = new Blob(chunks)
      if (recorded.size === 0) throw new Error('Nothing was recorded: speak for a second or more')
      return toWav(recorded)
    },
  }
}

/** Any recording that the browser can decode, as WAV at 16 kHz mono. Throws with one line for a person. */
export async function toWav(recording: Blob): Promise<Blob> {
  const context = new OfflineAudioContext(1, 1, sampleRateHz)
  const audio = await context.decodeAudioData(await recording.arrayBuffer()).catch(() => {
    throw new Error('This file is not a recording that the browser can read')
  })
  return new Blob([encodeWav(mono(audio), sampleRateHz)], { type: 'audio/wav' })
}

function mono(audio: AudioBuffer): Float32Array {
  const mixed = new Float32Array(audio.length)
  for (let channel = 0; channel < audio.numberOfChannels; channel++) {
    const samples = audio.getChannelData(channel)
    for (let i = 0; i < mixed.length; i++)
      mixed[i] = (mixed[i] ?? 0) + (samples[i] ?? 0) / audio.numberOfChannels
  }
  return mixed
}

function refusalWords(error: unknown): string {
  const name = error instanceof DOMException ? error.name : ''
  if (name === 'NotAllowedError') return 'The browser may not use the microphone; allow it for this page'
  if (name === 'NotFoundError') return 'This computer has no microphone'
  return 'The microphone could not be opened'
}
