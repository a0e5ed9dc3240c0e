import { describe, expect, test } from 'vitest'
import { HalError } from '../../../hal/contract/errors.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { InferError } from '../../../runtime/inference/inference.ts'
import type { Heard } from '../../../runtime/perception/hearing/heard.ts'
import { Hearing } from '../../../runtime/perception/hearing/hearing.ts'
import { microphoneOf, ScriptedEngine, sound } from './scripted-engine.ts'
import { encodeWav } from './sounds.ts'

const never = new AbortController().signal

function hearingWith(
  engine: ScriptedEngine,
  options: ConstructorParameters<typeof Hearing>[1] = {},
): Hearing {
  return new Hearing({ inference: engine, clock: new VirtualClock() }, options)
}

async function all(heard: AsyncIterable<Heard>): Promise<Heard[]> {
  const list: Heard[] = []
  for await (const one of heard) list.push(one)
  return list
}

describe('hearing a recording', () => {
  test('gives the words of each stretch of speech, and where they were', async () => {
    const engine = new ScriptedEngine()
    const samples = sound([1, false], [2, true], [2, false], [1, true], [1, false])
    const partials: string[] = []
    const heard = await hearingWith(engine).transcribe(samples, never, (text) => partials.push(text))
    expect(heard.segments).toHaveLength(2)
    expect(heard.segments[0]?.startMs).toBeGreaterThan(700)
    expect(heard.segments[0]?.endMs).toBeLessThan(3_400)
    expect(heard.text).toMatch(/^\d\.\d seconds \d\.\d seconds$/)
    expect(partials).toHaveLength(2)
    expect(heard.text.startsWith(partials[1] ?? '-')).toBe(true)
  })

  test('asks no transcriber about silence [hearing-2]', async () => {
    const engine = new ScriptedEngine()
    const heard = await hearingWith(engine).transcribe(sound([5, false]), never)
    expect(heard).toMatchObject({ text: '', segments: [], audioMs: 5_000 })
    expect(engine.transcriptions()).toBe(0)
  })

  test('says nothing when the transcriber loops [hearing-3]', async () => {
    const engine = new ScriptedEngine()
    engine.textOf = () => 'Thank you. Thank you. Thank you. Thank you. Thank you. Thank you.'
    expect((await hearingWith(engine).transcribe(sound([5, true]), never)).text).toBe('')
  })

  test('lets sound travel nowhere: every request is marked for this device [hearing-4]', async () => {
    const engine = new ScriptedEngine()
    await hearingWith(engine).transcribe(sound([25, true]), never)
    expect(new Set(engine.requests.map((request) => request.privacy))).toEqual(new Set(['device']))
  })

  test('lets only what was found to be speech travel where that is configured [hearing-4]', async () => {
    const engine = new ScriptedEngine()
    await hearingWith(engine, { privacy: 'site' }).transcribe(sound([2, false], [3, true]), never)
    const labels = engine.requests.map(({ model, privacy }) => `${model} ${privacy}`)
    expect(new Set(labels)).toEqual(new Set(['silero-vad device', 'moonshine-tiny-en site']))
  })

  test('asks once more when the engine dies, and gives up the second time', async () => {
    const engine = new ScriptedEngine()
    const lost = () => new InferError('engine-lost', 'the engine died', { retryable: true })
    engine.failures.push(lost())
    expect((await hearingWith(engine).transcribe(sound([2, true]), never)).text).toMatch(/seconds/)
    engine.failures.push(lost(), lost())
    await expect(hearingWith(engine).transcribe(sound([2, true]), never)).rejects.toMatchObject({
      code: 'engine-lost',
    })
  })

  test('refuses what is too long before any model sees it [hearing-1]', async () => {
    const engine = new ScriptedEngine()
    const hearing = hearingWith(engine, { audioSMax: 2 })
    const wav = encodeWav(sound([3, true]), { kind: 'pcm', bits: 16, sampleRateHz: 16_000, channels: 1 })
    await expect(hearing.hearWav(wav, never)).rejects.toMatchObject({ code: 'too-long' })
    await expect(hearing.transcribe(sound([3, true]), never)).rejects.toMatchObject({ code: 'too-long' })
    await expect(hearing.transcribe(new Float32Array(0), never)).rejects.toMatchObject({ code: 'empty' })
    expect(engine.requests).toEqual([])
  })
})

describe('listening to a microphone', () => {
  const oneUtterance = sound([1, false], [2, true], [2, false])

  test('hears each utterance, whatever the size of the chunks', async () => {
    const texts: string[][] = []
    for (const chunkSamples of [100, 512, 1_600, 200_000]) {
      const engine = new ScriptedEngine()
      const samples = sound([1, false], [2, true], [2, false], [1, true], [2, false])
      const heard = await all(hearingWith(engine).listen(microphoneOf(samples, { chunkSamples }), never))
      texts.push(heard.map((one) => one.text))
    }
    expect(new Set(texts.map((list) => list.join('|'))).size).toBe(1)
    expect(texts[0]).toHaveLength(2)
  })

  test('starts to transcribe at the first pause: by the end of speech nothing new is asked [hearing-5]', async () => {
    const engine = new ScriptedEngine()
    const heard = await all(hearingWith(engine).listen(microphoneOf(oneUtterance), never))
    expect(heard).toHaveLength(1)
    expect(engine.transcriptions()).toBe(1)
    const requested = engine.requests.findIndex((request) => request.model === 'moonshine-tiny-en')
    expect(engine.requests.slice(requested).length).toBeGreaterThan(5)
  })

  test('cancels the guess when speech goes on, and hears the whole [hearing-5]', async () => {
    const engine = new ScriptedEngine()
    engine.gates.push(new Promise(() => {}))
    const samples = sound([1, true], [0.3, false], [1, true], [2, false])
    const heard = await all(hearingWith(engine).listen(microphoneOf(samples), never))
    expect(engine.cancelled).toBe(1)
    expect(engine.transcriptions()).toBe(2)
    expect(heard).toHaveLength(1)
    expect(heard[0]?.audioMs).toBeGreaterThan(2_300)
  })

  test('hears what was being said when the microphone ends', async () => {
    const engine = new ScriptedEngine()
    expect(await all(hearingWith(engine).listen(microphoneOf(sound([2, true])), never))).toHaveLength(1)
  })

  test('cuts endless speech into utterances of bounded length [hearing-6]', async () => {
    const engine = new ScriptedEngine()
    const heard = await all(hearingWith(engine).listen(microphoneOf(sound([60, true])), never))
    expect(heard.length).toBeGreaterThanOrEqual(3)
    for (const { audioMs } of heard) expect(audioMs).toBeLessThan(26_000)
  })

  test('stops reading the microphone while nobody takes what was heard [hearing-6]', async () => {
    const engine = new ScriptedEngine()
    const utterances = Array.from(
      { length: 20 },
      () =>
        [
          [1, true],
          [1, false],
        ] as const,
    ).flat()
    let readSamples = 0
    const samples = sound(...utterances)
    const source = microphoneOf(samples)
    const counting = {
      ...source,
      async *capture(options: { sampleRateHz: number }, signal: AbortSignal) {
        for await (const chunk of source.capture(options, signal)) {
          readSamples += chunk.samples.length
          yield chunk
        }
      },
    }
    const listening = hearingWith(engine).listen(counting, never)
    await listening.next()
    for (let turn = 0; turn < 2_000; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(readSamples).toBeLessThan(samples.length / 2)
    expect((await all(listening)).length).toBe(19)
  })

  test('resamples a microphone that captures at another rate', async () => {
    const engine = new ScriptedEngine()
    const at48k = Float32Array.from({ length: 3 * 48_000 }, (_, k) => (k < 2 * 48_000 ? 0.5 : 0))
    const hearing = hearingWith(engine, { captureRateHz: 48_000 })
    const [heard] = await all(hearing.listen(microphoneOf(at48k, { chunkSamples: 4_801 }), never))
    expect(heard?.segments[0]?.endMs).toBeGreaterThan(1_900)
    expect(heard?.segments[0]?.endMs).toBeLessThan(2_400)
  })

  test('goes on after a gap in the sound, with a fresh detector', async () => {
    const engine = new ScriptedEngine()
    await all(hearingWith(engine).listen(microphoneOf(oneUtterance, { droppedAt: 8_000 }), never))
    const withoutState = engine.requests.filter(
      ({ model, inputs }) => model === 'silero-vad' && inputs.length === 1,
    )
    expect(withoutState).toHaveLength(2)
  })

  test('leaves out an utterance whose transcription fails, and hears the next', async () => {
    const engine = new ScriptedEngine()
    engine.failures.push(new InferError('deadline', 'took too long'))
    const samples = sound([1, true], [1, false], [2, true], [1, false])
    const heard = await all(hearingWith(engine).listen(microphoneOf(samples), never))
    expect(heard).toHaveLength(1)
    expect(heard[0]?.audioMs).toBeGreaterThan(2_000)
  })

  test('ends with the error of a microphone that fails', async () => {
    const failure = new HalError('not-present', 'the microphone was unplugged')
    const listening = hearingWith(new ScriptedEngine()).listen(microphoneOf(oneUtterance, { failure }), never)
    await expect(all(listening)).rejects.toBe(failure)
  })

  test('ends quietly when told to, also in the middle of speech', async () => {
    const abort = new AbortController()
    const engine = new ScriptedEngine()
    const microphone = microphoneOf(sound([2, true], [1, false], [1, true]), { endless: true })
    const heard: Heard[] = []
    for await (const one of hearingWith(engine).listen(microphone, abort.signal)) {
      heard.push(one)
      abort.abort()
    }
    expect(heard).toHaveLength(1)
  })

  test('lets the microphone go when its listener leaves', async () => {
    const microphone = microphoneOf(oneUtterance, { endless: true })
    for await (const one of hearingWith(new ScriptedEngine()).listen(microphone, never)) {
      expect(one.text).toMatch(/seconds/)
      break
    }
  })
})
