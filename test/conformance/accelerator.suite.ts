/**
 * What every accelerator must do, the CPU, our adapter or a vendor's: give it an implementation and models that it takes.
 * `hal/accelerators/README.md` says how to run it against another adapter.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type {
  Accelerator,
  AcceleratorFailure,
  AcceleratorTensor,
  LoadedModel,
} from '../../hal/contract/accelerator.ts'

/** One model with inputs and what it must answer to them. */
export interface KnownRun {
  /** Absolute path by format; at least one of a format that the accelerator takes. */
  readonly files: Readonly<Record<string, string>>
  readonly inputs: readonly AcceleratorTensor[]
  readonly outputs: readonly AcceleratorTensor[]
  /** Largest difference of a number; quantized models need one. Default: none. */
  readonly tolerance?: number
}

export interface AcceleratorUnderTest {
  readonly accelerator: Accelerator
  /** Kills what computes, as a crash would. */
  crash(): void
}

export interface AcceleratorFixtures {
  open(): Promise<AcceleratorUnderTest>
  readonly small: KnownRun
  /** Other inputs for the model of `small`. */
  readonly others: Pick<KnownRun, 'inputs' | 'outputs'>
  /** Megabytes in and out. */
  readonly large: KnownRun
  /** Takes seconds, in one run that cannot be interrupted. */
  readonly slow: KnownRun
  /** A file of a format that it takes, which is no model. */
  readonly broken: Readonly<Record<string, string>>
}

const never = new AbortController().signal
const patient = { deadlineMs: 60_000 }

export function acceleratorSuite(name: string, fixtures: AcceleratorFixtures): void {
  const { small, others, large, slow, broken } = fixtures
  let under: AcceleratorUnderTest
  const it = () => under.accelerator
  const load = (model: string, { files }: KnownRun) => it().load({ name: model, files }, never)
  const run = (model: string, inputs: readonly AcceleratorTensor[], options = patient, signal = never) =>
    it().run(model, inputs, options, signal)

  describe(`[accelerators-2] ${name}`, () => {
    beforeAll(async () => {
      under = await fixtures.open()
    })
    afterAll(() => under?.accelerator[Symbol.asyncDispose]())

    test('probe() says that it can be used, and health() that it is well', async () => {
      expect(await it().probe(never)).toEqual({ usable: true })
      expect(await it().health()).toMatchObject({ state: 'ok', restarts: 0 })
    })

    test('capabilities() names formats and precisions that it really takes', async () => {
      const { formats, precisions, memoryMb, device } = await it().capabilities(never)
      expect(device).not.toBe('')
      expect(formats.some((format) => small.files[format] !== undefined)).toBe(true)
      expect(precisions.length).toBeGreaterThan(0)
      if (memoryMb !== undefined) expect(memoryMb).toBeGreaterThan(0)
      const elsewhere = {
        name: 'foreign',
        files: { 'a format of nobody': Object.values(small.files)[0] ?? '' },
      }
      expect(await failureOf(it().load(elsewhere, never))).toMatchObject({ code: 'model-load' })
    })

    test('load() describes the model: every input and output of the known run', async () => {
      expectDescribed(await load('small', small), small)
      expect((await it().health()).models).toContain('small')
    })

    test('run() answers with the right values, also a second time and to other inputs', async () => {
      await load('small', small)
      expectEqual(await run('small', small.inputs), small)
      expectEqual(await run('small', others.inputs), { ...small, ...others })
      expectEqual(await run('small', small.inputs), small)
    })

    test('run() of a model that is not loaded is an error that names it', async () => {
      expect(await failureOf(run('nowhere', small.inputs))).toMatchObject({
        code: 'model-unknown',
        message: expect.stringContaining('nowhere'),
      })
    })

    test('load() of a file that is missing or no model is an error that names the model', async () => {
      const missing = Object.fromEntries(Object.keys(small.files).map((format) => [format, '/nowhere/model']))
      for (const files of [missing, broken])
        expect(await failureOf(it().load({ name: 'spoilt', files }, never))).toMatchObject({
          code: 'model-load',
          message: expect.stringContaining('spoilt'),
        })
      expect(await failureOf(run('spoilt', small.inputs))).toMatchObject({ code: 'model-unknown' })
    })

    test.for(wrongInputs(small))('%s is refused, naming the input', async ([, inputs, input]) => {
      await load('small', small)
      expect(await failureOf(run('small', inputs))).toMatchObject({
        code: 'bad-input',
        message: expect.stringContaining(input),
      })
      expectEqual(await run('small', small.inputs), small)
    })

    test('runs that overlap each get their own answer', async () => {
      await load('small', small)
      const pairs = Array.from({ length: 12 }, (_, index) =>
        index % 2 === 0 ? small : { ...small, ...others },
      )
      const answers = await Promise.all(pairs.map(({ inputs }) => run('small', inputs)))
      for (const [index, answer] of answers.entries()) expectEqual(answer, pairs[index] ?? small)
    })

    test('megabytes go in and come out whole', async () => {
      await load('large', large)
      expectEqual(await run('large', large.inputs), large)
      await it().unload('large', never)
    })

    test('run() after unload() is an error; unloading twice is harmless; a model can come back', async () => {
      await load('passing', small)
      await it().unload('passing', never)
      await it().unload('passing', never)
      expect(await failureOf(run('passing', small.inputs))).toMatchObject({ code: 'model-unknown' })
      await load('passing', small)
      expectEqual(await run('passing', small.inputs), small)
    })

    test('a caller that aborts hears so at once, before and during a run, and others are served', async () => {
      await load('small', small)
      await load('slow', slow)
      expect(await failureOf(run('small', small.inputs, patient, AbortSignal.abort()))).toMatchObject({
        code: 'cancelled',
      })
      const stop = new AbortController()
      const running = failureOf(run('slow', slow.inputs, patient, stop.signal))
      setTimeout(() => stop.abort(), 100)
      expect(await running).toMatchObject({ code: 'cancelled' })
      expectEqual(await run('small', small.inputs), small)
    })

    test('a run that is not done by its deadline is an error', async () => {
      await load('slow', slow)
      expect(await failureOf(run('slow', slow.inputs, { deadlineMs: 100 }))).toMatchObject({
        code: 'deadline',
        retryable: true,
      })
      await load('small', small)
      expectEqual(await run('small', small.inputs), small)
    })

    test('a crash in the middle of a run is an error or the right answer, never zeros; then it is well again', async () => {
      await load('small', small)
      await load('slow', slow)
      const running = run('slow', slow.inputs).then(
        (outputs) => expectEqual(outputs, slow),
        (error: unknown) => expect(failure(error)).toMatchObject({ code: 'engine-lost', retryable: true }),
      )
      setTimeout(() => under.crash(), 300)
      await running
      await untilWell(it(), () => run('small', small.inputs))
      expectEqual(await run('small', small.inputs), small)
      expect(await it().health()).toMatchObject({ state: 'ok', restarts: 1 })
    })

    test('after it is closed every run is an error and health() says so', async () => {
      const { accelerator } = await fixtures.open()
      await accelerator.load({ name: 'small', files: small.files }, never)
      await accelerator[Symbol.asyncDispose]()
      await accelerator[Symbol.asyncDispose]()
      const { code } = await failureOf(accelerator.run('small', small.inputs, patient, never))
      expect(['engine-stopped', 'model-unknown']).toContain(code)
    })
  })
}

function wrongInputs(small: KnownRun): [what: string, inputs: AcceleratorTensor[], input: string][] {
  const [first, ...rest] = small.inputs
  if (!first) throw new Error('a known run needs an input')
  const { name, shape } = first
  const elements = first.data.length
  const otherType: AcceleratorTensor =
    first.datatype === 'INT8'
      ? { name, shape, datatype: 'FP32', data: new Float32Array(elements) }
      : { name, shape, datatype: 'INT8', data: new Int8Array(elements) }
  return [
    ['an input that is missing', rest, name],
    ['an input of another datatype', [otherType, ...rest], name],
    [
      'an input with one dimension more',
      [{ ...first, shape: [1, ...shape] } as AcceleratorTensor, ...rest],
      name,
    ],
    [
      'an input with fewer elements than its shape',
      [{ ...first, data: first.data.slice(1) } as AcceleratorTensor, ...rest],
      name,
    ],
    ['an input that the model has not', [first, ...rest, { ...first, name: 'stranger' }], 'stranger'],
    ['an input that is given twice', [first, first, ...rest], name],
  ]
}

function expectDescribed(model: LoadedModel, { inputs, outputs }: KnownRun): void {
  const places = (list: readonly { name: string; datatype: string; shape: readonly unknown[] }[]) =>
    list.map(({ name, datatype, shape }) => `${name} ${datatype} ${shape.length}`).sort()
  expect(places(model.inputs)).toEqual(places(inputs))
  expect(places(model.outputs)).toEqual(places(outputs))
}

function expectEqual(got: readonly AcceleratorTensor[], { outputs, tolerance = 0 }: KnownRun): void {
  expect(got.map(({ name }) => name).sort()).toEqual(outputs.map(({ name }) => name).sort())
  for (const wanted of outputs) {
    const tensor = got.find(({ name }) => name === wanted.name)
    expect(tensor?.datatype).toBe(wanted.datatype)
    expect(tensor?.shape).toEqual(wanted.shape)
    expect(tensor?.data.length).toBe(wanted.data.length)
    // One comparison: a megabyte of expectations takes minutes.
    const wrong = [...wanted.data].findIndex((value, index) => differs(value, tensor?.data[index], tolerance))
    expect(wrong, `first wrong element of ${wanted.name}`).toBe(-1)
  }
}

function differs(wanted: unknown, got: unknown, tolerance: number): boolean {
  if (typeof wanted !== 'number' || typeof got !== 'number') return wanted !== got
  return !(Math.abs(wanted - got) <= tolerance)
}

async function untilWell(accelerator: Accelerator, attempt: () => Promise<unknown>): Promise<void> {
  const limit = Date.now() + 30_000
  for (;;) {
    try {
      await attempt()
      return
    } catch (error) {
      const { state } = await accelerator.health()
      if (Date.now() > limit) throw new Error(`still ${state} after 30 s`, { cause: error })
      expect(failure(error).code).toBe('engine-lost')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

async function failureOf(promise: Promise<unknown>): Promise<AcceleratorFailure> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  return failure(error)
}

/** One line with a code: anything else that is thrown fails the test as it is. */
function failure(error: unknown): AcceleratorFailure {
  if (!(error instanceof Error) || !('code' in error) || error.message.includes('\n')) throw error
  return error as AcceleratorFailure
}
