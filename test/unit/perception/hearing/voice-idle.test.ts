import { expect, test } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { Voice, type VoiceOptions } from '../../../../runtime/perception/voice.ts'
import { microphoneOf, ScriptedEngine, sound } from '../scripted-engine.ts'
import { encodeWav } from '../sounds.ts'

const never = new AbortController().signal
const speech = ['silero-vad', 'moonshine-tiny-en']
const wav = encodeWav(sound([1, true]), { kind: 'pcm', bits: 16, sampleRateHz: 16_000, channels: 1 })

/** Scripted models know no keywords: every loud sound wakes. What is loaded and unloaded is written down. */
async function open(wake: VoiceOptions['wake']) {
  const clock = new VirtualClock()
  const steps: string[] = []
  const engines = {
    preload: async (name: string) => void steps.push(`load ${name}`),
    unload: (name: string) => void steps.push(`unload ${name}`),
  }
  const served = { ensure: async () => {}, engines }
  const voice = await Voice.open(
    { clock, log: silentLog, inference: new ScriptedEngine(), served: served as never },
    { models: speech, audioSMax: 60, privacy: 'device', ...(wake ? { wake } : {}) },
    never,
  )
  await clock.run(() => voice.whenReady(never))
  return { voice, clock, steps }
}

const wake = { model: 'keywords', words: [], confidence: 0.5, idleMs: 60_000 }

test('only the keyword model is loaded from the start; speech models come with speech and go when idle [voice-3]', async () => {
  const { voice, clock, steps } = await open(wake)
  expect(steps).toEqual(['load keywords'])
  const samples = sound([3, false], [1, true], [12, false])
  for await (const _ of voice.listen(microphoneOf(samples), never));
  expect(steps.slice(1)).toEqual(['load silero-vad', 'load moonshine-tiny-en'])
  clock.advance(59_000)
  expect(steps).toHaveLength(3)
  clock.advance(2_000)
  expect(steps.slice(3)).toEqual(['unload silero-vad', 'unload moonshine-tiny-en'])
  await voice[Symbol.asyncDispose]()
})

test('a microphone that fails while awake leaves nothing loaded [voice-3]', async () => {
  const { voice, clock, steps } = await open(wake)
  const unplugged = microphoneOf(sound([3, false], [1, true], [1, false]), {
    failure: new Error('unplugged'),
  })
  const listening = (async () => {
    for await (const _ of voice.listen(unplugged, never));
  })()
  await expect(listening).rejects.toThrow('unplugged')
  expect(steps.slice(1)).toEqual(['load silero-vad', 'load moonshine-tiny-en'])
  clock.advance(61_000)
  expect(steps.slice(3)).toEqual(['unload silero-vad', 'unload moonshine-tiny-en'])
  await voice[Symbol.asyncDispose]()
})

test('a recording that is heard meanwhile keeps them loaded for as long again [voice-3]', async () => {
  const { voice, clock, steps } = await open(wake)
  await voice.hear(wav, never)
  clock.advance(50_000)
  await voice.hear(wav, never)
  clock.advance(50_000)
  expect(steps).toEqual(['load keywords'])
  clock.advance(20_000)
  expect(steps).toHaveLength(3)
  await voice[Symbol.asyncDispose]()
})

test('without the stage they are loaded from the start and stay', async () => {
  const { voice, clock, steps } = await open(undefined)
  await voice.hear(wav, never)
  clock.advance(3_600_000)
  expect(steps).toEqual(['load silero-vad', 'load moonshine-tiny-en'])
  await voice[Symbol.asyncDispose]()
})
