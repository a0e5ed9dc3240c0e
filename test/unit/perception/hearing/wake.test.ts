import { expect, test } from 'vitest'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { createLog } from '../../../../runtime/base/log.ts'
import { InferError } from '../../../../runtime/inference/inference.ts'
import { keywordScores } from '../../../../runtime/inference/models/keywords.model.ts'
import type { Heard } from '../../../../runtime/perception/hearing/heard.ts'
import { Hearing } from '../../../../runtime/perception/hearing/hearing.ts'
import { LevelGate } from '../../../../runtime/perception/hearing/level-gate.ts'
import type { InferChunk, InferRequest } from '../../../../runtime/wire/infer.ts'
import { microphoneOf, ScriptedEngine, sound } from '../scripted-engine.ts'

const never = new AbortController().signal

/** Knows keywords too: `word` where the second is loud anywhere, else silence. */
class Ears extends ScriptedEngine {
  word = 'unknown'
  keywordFailure: InferError | undefined
  override async *infer(request: Omit<InferRequest, 'id'>, signal: AbortSignal): AsyncGenerator<InferChunk> {
    if (request.model !== 'keywords') {
      yield* super.infer(request, signal)
      return
    }
    this.requests.push(request)
    if (this.keywordFailure) throw this.keywordFailure
    const [audio] = request.inputs
    const loud = audio?.datatype === 'FP32' && audio.data.some((sample) => Math.abs(sample) > 0.01)
    const data = new Float32Array(12)
    data[keywordScores.indexOf(loud ? this.word : 'silence')] = 1
    yield { id: '1', final: true, outputs: [{ name: 'scores', datatype: 'FP32', shape: [12], data }] }
  }
  asked(model: string): number {
    return this.requests.filter((request) => request.model === model).length
  }
}

async function listen(samples: Float32Array, options: { words?: string[] } = {}, ears = new Ears()) {
  const steps: string[] = []
  const heard: Heard[] = []
  const lines: string[] = []
  const log = createLog({ level: 'warn', json: false, write: (line) => lines.push(line), nowMs: () => 0 })
  const hearing = new Hearing({ inference: ears, clock: new VirtualClock(), log })
  const stage = {
    words: options.words ?? [],
    confidence: 0.5,
    awakeMs: 3_000,
    onWake: () => steps.push('wake'),
    onSpeech: () => steps.push('speech'),
    onSleep: () => steps.push('sleep'),
  }
  for await (const one of hearing.listen(microphoneOf(samples), never, stage)) heard.push(one)
  return { ears, steps, heard, lines }
}

test('while nobody speaks no speech model is asked anything, and the keyword model nothing either [hearing-7]', async () => {
  const { ears, steps } = await listen(sound([60, false]))
  expect(ears.requests).toHaveLength(0)
  expect(steps).toEqual([])
})

test('who speaks wakes it, and is heard from the first sound on [hearing-7]', async () => {
  const { heard, steps } = await listen(sound([20, false], [2, true], [10, false]))
  expect(steps).toEqual(['wake', 'speech', 'sleep'])
  expect(heard).toHaveLength(1)
  const [segment] = heard[0]?.segments ?? []
  // Whole, with 160 ms before and after, counted from the start of listening.
  expect(segment?.startMs).toBeGreaterThan(19_750)
  expect(segment?.startMs).toBeLessThan(20_000)
  expect(segment?.endMs).toBeGreaterThan(22_000)
  expect(segment?.endMs).toBeLessThan(22_300)
})

test('it sleeps again, and wakes again [hearing-7]', async () => {
  const { steps, heard } = await listen(sound([3, false], [1, true], [9, false], [1, true], [9, false]))
  expect(steps).toEqual(['wake', 'speech', 'sleep', 'wake', 'speech', 'sleep'])
  expect(heard.map(({ segments }) => Math.round((segments[0]?.startMs ?? 0) / 1000))).toEqual([3, 13])
})

test('somebody who speaks on and on is not cut off by sleep', async () => {
  const { steps, heard } = await listen(sound([3, false], [12, true], [6, false]))
  expect(steps).toEqual(['wake', 'speech', 'sleep'])
  expect(heard[0]?.audioMs).toBeGreaterThan(12_000)
})

test('what sounds like a word but is no speech loads the detector and no more', async () => {
  // To the scripted detector this is too quiet to be speech.
  const knock = sound([5, false], [0.5, true], [9, false]).map((sample) => sample / 10)
  const { steps, ears } = await listen(knock)
  expect(steps).toEqual(['wake', 'sleep'])
  expect(ears.transcriptions()).toBe(0)
})

test('where words are configured only they wake, and they are not part of what is heard', async () => {
  const speech = sound([5, false], [1, true], [1.5, false], [1, true], [9, false])
  const other = await listen(speech, { words: ['go'] })
  expect(other.steps).toEqual([])
  const ears = new Ears()
  ears.word = 'go'
  const { heard, steps } = await listen(speech, { words: ['go'] }, ears)
  expect(steps[0]).toBe('wake')
  expect(heard.at(-1)?.segments[0]?.startMs).toBeGreaterThan(7_000)
})

test('without the keyword model every loud sound wakes, no word is lost, and the log says so once', async () => {
  const ears = new Ears()
  ears.keywordFailure = new InferError('model-unknown', 'no model is named keywords')
  const { heard, lines } = await listen(
    sound([3, false], [1, true], [9, false], [1, true], [9, false]),
    {},
    ears,
  )
  expect(heard).toHaveLength(2)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('no model is named keywords')
})

test('sound for the keyword model is marked for this device too [hearing-4]', async () => {
  const { ears } = await listen(sound([3, false], [1, true], [6, false]))
  expect(ears.asked('keywords')).toBeGreaterThan(0)
  expect(new Set(ears.requests.map(({ privacy }) => privacy))).toEqual(new Set(['device']))
})

test.each([
  ['its greatest value', () => 1],
  ['a tone at full scale', (at: number) => Math.sin((2 * Math.PI * 100 * at) / 16_000)],
  ['nothing at all', () => 0],
])('a microphone that is stuck at %s from the start costs nothing', async (_, sampleAt) => {
  const { ears } = await listen(Float32Array.from({ length: 30 * 16_000 }, (_, at) => sampleAt(at)))
  expect(ears.requests).toHaveLength(0)
})

test('a microphone that gets stuck later is asked about for some seconds, then no more', async () => {
  // To the scripted detector this is too quiet to be speech.
  const stuck = (seconds: number) => sound([5, false], [seconds, true]).map((sample) => sample / 10)
  const [soon, later] = [await listen(stuck(15)), await listen(stuck(40))]
  expect(soon.ears.requests.length).toBeGreaterThan(0)
  expect(later.ears.requests.length).toBe(soon.ears.requests.length)
})

test('a steady hum closes the level gate after a few seconds, and a voice over it opens it', () => {
  const gate = new LevelGate()
  const second = (level: number) =>
    Float32Array.from({ length: 16_000 }, (_, at) => level * Math.sin((2 * Math.PI * 100 * at) / 16_000))
  expect(gate.push(new Float32Array(16_000))).toBe(false)
  expect(gate.push(second(0.1))).toBe(true)
  for (let at = 0; at < 10; at += 1) gate.push(second(0.1))
  expect(gate.push(second(0.1))).toBe(false)
  expect(gate.push(second(0.25))).toBe(true)
})
