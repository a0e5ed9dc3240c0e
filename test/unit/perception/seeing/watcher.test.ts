/** A watcher on scripted frames and models whose answers are rules: brightness of the first pixels says who is there. */
import { expect, test } from 'vitest'
import { createHal } from '../../../../hal/index.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { createLog, silentLog } from '../../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'
import { InferError, type Inference } from '../../../../runtime/inference/inference.ts'
import { Perception, perceptionModels } from '../../../../runtime/perception/perception.ts'
import type { Frame } from '../../../../runtime/perception/seeing/frame-source.ts'
import { EntityRegistry } from '../../../../runtime/things/registry.ts'
import type { InferChunk, InferRequest, Tensor } from '../../../../runtime/wire/infer.ts'

const never = new AbortController().signal
const width = 320
const height = 240

/** Pixel 0: how sure somebody is there, of 255; pixel 1: faces. The rest is `scene`. */
function picture(person: number, faces: number, scene: number): Uint8Array {
  const rgb = new Uint8Array(width * height * 3).fill(scene)
  rgb[0] = person
  rgb[3] = faces
  return rgb
}

class Eyes implements Inference {
  readonly requests: Omit<InferRequest, 'id'>[] = []
  /** Of the next requests, in order; undefined: none. */
  readonly failures: (InferError | undefined)[] = []
  underWay = 0
  mostUnderWay = 0
  text: readonly string[] = []

  async *infer(request: Omit<InferRequest, 'id'>): AsyncGenerator<InferChunk> {
    this.requests.push(request)
    this.underWay += 1
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay)
    try {
      await new Promise((resolve) => setImmediate(resolve))
      const failure = this.failures.shift()
      if (failure) throw failure
      const image = request.inputs[0]
      if (image?.datatype !== 'UINT8') throw new InferError('bad-input', 'no image')
      yield { id: '1', final: true, outputs: this.#answer(request.model, image.data) }
    } finally {
      this.underWay -= 1
    }
  }

  asked(model: string): number {
    return this.requests.filter((request) => request.model === model).length
  }

  #answer(model: string, rgb: Uint8Array): Tensor[] {
    const floats = (name: string, data: number[]): Tensor => ({
      name,
      datatype: 'FP32',
      shape: [data.length],
      data: Float32Array.from(data),
    })
    const person = (rgb[0] ?? 0) / 255
    if (model === 'person') return [floats('person', [person])]
    if (model === 'ultra-light-face-320') {
      const count = rgb[3] ?? 0
      return [floats('boxes', Array(count * 4).fill(1)), floats('scores', Array(count).fill(0.9))]
    }
    const lines: Tensor = { name: 'text', datatype: 'BYTES', shape: [this.text.length], data: [...this.text] }
    return [lines, floats('confidence', Array(this.text.length).fill(0.95))]
  }
}

type Step = { readonly rgb: Uint8Array; readonly dropped?: number } | Error

/** Plays one picture a second, then ends as told, then plays on with the next list. */
async function watch(
  seeing: Record<string, unknown>,
  plays: readonly (readonly Step[])[],
  eyes = new Eyes(),
) {
  const clock = new VirtualClock()
  const { perception: config } = loadDeviceConfig({
    perception: { seeing: [{ id: 'door', source: 'camera', ...seeing }] },
  } as never)
  const registry = new EntityRegistry([])
  const events: Record<string, unknown>[] = []
  const states: string[] = []
  const lines: string[] = []
  const log = createLog({ level: 'warn', json: false, write: (line) => lines.push(line), nowMs: () => 0 })
  registry.onReport(({ info, telemetry }) => states.push(`${info.id} ${telemetry.state}`))
  let play = 0
  const over = Promise.withResolvers<void>()
  const camera = {
    info: { id: 'camera.test', name: 'Camera test', simulated: true },
    async *capture(_: unknown, signal: AbortSignal): AsyncGenerator<Frame> {
      const steps = plays[play] ?? []
      play += 1
      for (const step of steps) {
        if (step instanceof Error) throw step
        clock.advance(1_000)
        yield { rgb: step.rgb, width, height, tsMs: clock.nowMs(), droppedFrames: step.dropped ?? 0 }
      }
      if (play < plays.length) return
      over.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    },
    async [Symbol.asyncDispose]() {},
  }
  const perception = await Perception.open(
    {
      clock,
      log,
      inference: eyes,
      registry,
      camera,
      hal: createHal([]),
      publishEvent: async (kind, event) => events.push({ kind, ...event }),
      stateDir: '/nowhere',
    },
    config,
    never,
  )
  await clock.run(() => over.promise)
  const watcher = perception.watchers[0]
  const result = {
    eyes,
    registry,
    events,
    states,
    lines,
    tookMs: clock.monotonicMs(),
    counts: { ...watcher?.counts },
    problems: perception.problems,
    config,
  }
  await perception[Symbol.asyncDispose]()
  return result
}

const nobody = { rgb: picture(10, 0, 100) }
const somebody = { rgb: picture(240, 2, 160) }

test('somebody is said to be there when two of three looks agree, and gone after the delay [seeing-4]', async () => {
  const { states, events } = await watch({ offAfterS: 5 }, [
    [...Array(4).fill(nobody), ...Array(4).fill(somebody), ...Array(10).fill(nobody)],
  ])
  expect(states).toEqual([
    'binary_sensor.door_person off',
    'binary_sensor.door_person on',
    'binary_sensor.door_person off',
  ])
  expect(events).toMatchObject([
    { kind: 'seen', source: 'door', what: 'person', state: 'off' },
    { kind: 'seen', source: 'door', what: 'person', state: 'on', confidence: 0.94 },
    { kind: 'seen', source: 'door', what: 'person', state: 'off' },
  ])
})

test('what was seen is labelled as its frames are, as an event and as a state', async () => {
  const looks = [[...Array(4).fill(nobody), ...Array(4).fill(somebody)]]
  const { events, registry } = await watch({ privacy: 'site' }, looks)
  expect(events).toMatchObject([
    { state: 'off', privacy: 'site' },
    { state: 'on', privacy: 'site' },
  ])
  const attributes = registry.get('binary_sensor.door_person')?.telemetry.attributes
  expect(attributes).toEqual({ confidence: 0.94, privacy: 'site' })
  expect((await watch({}, looks)).events[0]).toMatchObject({ privacy: 'device' })
})

test('a single look that is wrong says nothing [seeing-4]', async () => {
  const { states } = await watch({}, [[...Array(5).fill(nobody), somebody, ...Array(5).fill(nobody)]])
  expect(states).toEqual(['binary_sensor.door_person off'])
})

test('an unmoving scene costs no inference [seeing-1]', async () => {
  const { eyes, counts } = await watch({}, [Array(100).fill(somebody)])
  expect(eyes.requests).toHaveLength(4)
  expect(counts).toMatchObject({ frames: 100, looks: 4, unmoving: 96 })
})

test('whoever stays without moving stays there [seeing-1]', async () => {
  const { registry } = await watch({ offAfterS: 1 }, [Array(200).fill(somebody)])
  expect(registry.get('binary_sensor.door_person')?.telemetry.state).toBe('on')
})

test('faces are looked for only where somebody may be, and text only in a picture that holds still', async () => {
  const eyes = new Eyes()
  eyes.text = ['EXIT', '12']
  const { states } = await watch(
    { find: ['face', 'text'], width, height },
    [[...Array(6).fill(nobody), ...Array(6).fill(somebody)]],
    eyes,
  )
  expect(eyes.asked('person')).toBe(8)
  expect(eyes.asked('ultra-light-face-320')).toBe(4)
  expect(eyes.asked('pp-ocr-v4')).toBe(6)
  expect(states).toEqual(['sensor.door_faces 0', 'sensor.door_text EXIT 12', 'sensor.door_faces 2'])
})

test('text is read where the least motion counts, too', async () => {
  const eyes = new Eyes()
  eyes.text = ['EXIT']
  const { states } = await watch(
    { find: ['text'], width, height, motionShare: 0 },
    [Array(5).fill(nobody)],
    eyes,
  )
  expect(states).toEqual(['sensor.door_text EXIT'])
})

test('frames never leave the device unless the configuration says so [seeing-6]', async () => {
  expect((await watch({}, [[nobody]])).eyes.requests[0]?.privacy).toBe('device')
  expect((await watch({ privacy: 'site' }, [[nobody]])).eyes.requests[0]?.privacy).toBe('site')
})

test('no pixel and no place of a face is in an event or a state [seeing-6]', async () => {
  const { events, registry } = await watch({ find: ['person', 'face'] }, [Array(5).fill(somebody)])
  for (const event of events)
    expect(
      Object.keys(event).every((key) =>
        ['kind', 'privacy', 'source', 'what', 'state', 'confidence'].includes(key),
      ),
    ).toBe(true)
  expect(JSON.stringify(registry.view().entities).length).toBeLessThan(1_000)
})

test('one inference at a time; frames that the source left out are counted [seeing-2]', async () => {
  const flicker = Array.from({ length: 20 }, (_, at) => ({
    rgb: picture(0, 0, at % 2 ? 60 : 120),
    dropped: 3,
  }))
  const { eyes, counts } = await watch({}, [flicker])
  expect(eyes.mostUnderWay).toBe(1)
  expect(counts).toMatchObject({ frames: 20, dropped: 60, looks: 20 })
})

test('a camera that is unplugged makes its entities unavailable, and is opened again [seeing-3]', async () => {
  const unplugged = Object.assign(new Error('camera.test: /dev/video0 is not there'), { code: 'not-present' })
  const { states, counts, problems } = await watch({}, [
    [...Array(3).fill(somebody), unplugged],
    [unplugged],
    Array(3).fill(somebody),
  ])
  expect(states).toEqual([
    'binary_sensor.door_person on',
    'binary_sensor.door_person unavailable',
    'binary_sensor.door_person on',
  ])
  expect(counts.reopened).toBe(2)
  expect(problems).toEqual([])
})

test('a source that gives a frame and dies, again and again, is opened later and later, and the log says so once [seeing-3]', async () => {
  const dead = new Error('the connection was reset')
  const { tookMs, lines, counts } = await watch({}, [...Array(10).fill([somebody, dead]), [somebody]])
  expect(counts.reopened).toBe(10)
  // At least half of 1, 2, 4, 8, 16, 32 and four times 60 s.
  expect(tookMs).toBeGreaterThan(151_000)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toContain('nothing is seen, trying again watcher=door reason="the connection was reset"')
})

test('what nothing moved in is known again after the model was away [seeing-1]', async () => {
  const eyes = new Eyes()
  const busy = new InferError('overloaded', 'busy', { retryAfterMs: 1_000 })
  eyes.failures.push(undefined, undefined, undefined, busy, busy, busy)
  const { states } = await watch({}, [Array(30).fill(somebody)], eyes)
  expect(states.map((state) => state.split(' ')[1])).toEqual(['on', 'unavailable', 'on'])
})

test('a frame of the wrong size is refused by name', async () => {
  const { problems, eyes } = await watch({}, [[{ rgb: new Uint8Array(7) }], []])
  expect(problems[0]).toContain('a frame of 320 × 240 has 7 bytes, not 230400')
  expect(eyes.requests).toHaveLength(0)
})

test.each([
  ['refused', 'the policy leaves no place for it'],
  ['overloaded', 'too many requests'],
  ['unavailable', 'no place can be reached'],
  ['model-unknown', 'there is no model person'],
] as const)(
  'a model that answers %s is asked again later and later, and the status says why',
  async (code, why) => {
    const eyes = new Eyes()
    eyes.failures.push(...Array.from({ length: 50 }, () => new InferError(code, why)))
    const flicker = Array.from({ length: 60 }, (_, at) => ({ rgb: picture(0, 0, at % 2 ? 60 : 120) }))
    const { counts, problems, states } = await watch({}, [[...flicker]], eyes)
    expect(counts.failures).toBeGreaterThan(2)
    expect(counts.failures).toBeLessThan(15)
    expect(counts.held).toBeGreaterThan(40)
    expect(states).toEqual(['binary_sensor.door_person unavailable'])
    expect(problems.join()).toContain(why)
  },
)

test('an overloaded gateway is asked again when it said', async () => {
  const eyes = new Eyes()
  eyes.failures.push(new InferError('overloaded', 'busy', { retryAfterMs: 7_000 }))
  const { counts } = await watch({}, [Array(9).fill(nobody)], eyes)
  expect(counts).toMatchObject({ failures: 1, held: 6 })
})

test('an answer of another shape is a failure, not a crash', async () => {
  const eyes = new Eyes()
  eyes.infer = async function* () {
    yield { id: '1', final: true, outputs: [] }
  }
  expect((await watch({}, [[nobody, nobody]], eyes)).problems[0]).toContain(
    'lacks an FP32 output named person',
  )
})

test('without a camera the entity is there, unavailable, and the status says what to configure', async () => {
  const { perception: config } = loadDeviceConfig({
    perception: { seeing: [{ id: 'door', source: 'camera' }] },
  } as never)
  const registry = new EntityRegistry([])
  await using perception = await Perception.open(
    {
      clock: new VirtualClock(),
      log: silentLog,
      inference: new Eyes(),
      registry,
      camera: undefined,
      hal: createHal([]),
      publishEvent: async () => {},
      stateDir: '/nowhere',
    },
    config,
    never,
  )
  expect(perception.problems).toEqual(['seeing door: no camera is configured (device.camera)'])
  expect(registry.get('binary_sensor.door_person')?.telemetry.state).toBe('unavailable')
})

test('the models that are needed are named, each once', () => {
  const { perception } = loadDeviceConfig({
    perception: {
      seeing: [
        { id: 'a', source: { file: 'x.png' }, find: ['face', 'text'] },
        { id: 'b', source: 'camera', models: { person: 'my-person' } },
      ],
      feeling: [{ id: 'pump', channels: ['sensor.a'], model: 'pump-anomaly' }],
    },
  } as never)
  expect(perceptionModels(perception).sort()).toEqual([
    'my-person',
    'person',
    'pp-ocr-v4',
    'pump-anomaly',
    'ultra-light-face-320',
  ])
})
