/** What every backend of a gateway must do, whatever is behind it: give it one that is open, and requests that it can answer. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../gateway/offload/backends/backend.ts'
import { type InferChunk, InferError, type InferRequest } from '../../runtime/wire/infer.ts'

export type Asked = Pick<InferRequest, 'model' | 'inputs'>

export interface BackendUnderTest extends AsyncDisposable {
  readonly backend: Backend
  /** What it answers, and how the answer is known to be right. */
  readonly known: Asked
  readonly isRight: (chunks: readonly InferChunk[]) => boolean
  /** An input that the model does not take; the error names it. */
  readonly wrong: Asked
  readonly wrongName: RegExp
  /** Takes a second or more, or for ever. */
  readonly slow: Asked
}

export interface BackendFixture {
  open(): Promise<BackendUnderTest>
  /** One whose server, or source of files, is not there; configured to have the model `absent`. */
  openAway(): Promise<Backend>
  readonly absent: string
}

const never = new AbortController().signal
const limits = { priority: 'interactive', deadlineMs: 30_000, privacy: 'site' } as const
let ids = 0
const requestOf = (asked: Asked): InferRequest => {
  ids += 1
  return { id: `r${ids}`, ...limits, ...asked }
}

export async function until(what: string, condition: () => boolean): Promise<void> {
  const limit = Date.now() + 25_000
  while (!condition()) {
    if (Date.now() > limit) throw new Error(`waited too long until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

async function failure(chunks: AsyncIterable<InferChunk>): Promise<InferError> {
  try {
    for await (const _ of chunks);
  } catch (error) {
    if (error instanceof InferError) return error
    throw error
  }
  throw new Error('it did not fail')
}

export function backendSuite(name: string, fixture: BackendFixture): void {
  describe(`[serving-8] backend ${name}`, () => {
    let under: BackendUnderTest
    const ask = (asked: Asked, signal = never) => under.backend.infer(requestOf(asked), signal)
    beforeAll(async () => {
      under = await fixture.open()
      await until('its models are there', () =>
        under.backend.models().some((one) => one.name === under.known.model),
      )
    })
    afterAll(() => under[Symbol.asyncDispose]())

    test('it says what it is, where it computes and what it has, each name once', () => {
      const { backend, known } = under
      expect(backend.id).toMatch(/^[a-z0-9][a-z0-9.-]*$/)
      expect(['site', 'cloud']).toContain(backend.reach)
      expect(backend.concurrency).toBeGreaterThanOrEqual(backend.parallel)
      expect(backend.parallel).toBeGreaterThanOrEqual(1)
      const names = backend.models().map((model) => model.name)
      expect(new Set(names).size).toBe(names.length)
      const model = backend.models().find((one) => one.name === known.model)
      for (const input of known.inputs)
        expect(model?.inputs).toContainEqual(
          expect.objectContaining({ name: input.name, datatype: input.datatype }),
        )
      expect([backend.knows(known.model), backend.knows('nobody-has-this')]).toEqual([true, false])
      expect(backend.health()).toMatchObject({ state: 'ok', running: 0 })
    })

    test('an answer is right, ends with its one final chunk, and carries the id of its request', async () => {
      const request = requestOf(under.known)
      const chunks: InferChunk[] = []
      for await (const chunk of under.backend.infer(request, never)) chunks.push(chunk)
      expect(under.isRight(chunks)).toBe(true)
      expect(chunks.map(({ final }) => final)).toEqual([...Array(chunks.length - 1).fill(false), true])
      expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set([request.id]))
    })

    test('many at once are all answered, each its own', async () => {
      const answers = await Promise.all(
        Array.from({ length: 16 }, async () => {
          const request = requestOf(under.known)
          const chunks: InferChunk[] = []
          for await (const chunk of under.backend.infer(request, never)) chunks.push(chunk)
          return under.isRight(chunks) && chunks.every(({ id }) => id === request.id)
        }),
      )
      expect(answers).toEqual(Array(16).fill(true))
      expect(under.backend.health().running).toBe(0)
    })

    test('an unknown model and a wrong input are errors that say which', async () => {
      const unknown = await failure(ask({ ...under.known, model: 'nobody-has-this' }))
      expect(['model-unknown', 'unavailable']).toContain(unknown.code)
      expect(unknown.message).toContain('nobody-has-this')
      const wrong = await failure(ask(under.wrong))
      expect([wrong.code, wrong.message]).toEqual(['bad-input', expect.stringMatching(under.wrongName)])
      expect(wrong.message).not.toContain('\n')
    })

    test('who aborts before or while it runs hears an error, and others are served as before', async () => {
      const gone = new AbortController()
      const waiting = failure(ask(under.slow, gone.signal)).catch((error: unknown) => error)
      await until('it runs', () => under.backend.health().running === 1)
      gone.abort(new InferError('cancelled', 'gone'))
      expect(await waiting).toMatchObject({ code: 'cancelled' })
      const early = failure(ask(under.known, gone.signal)).catch((error: unknown) => error)
      expect(await early).toMatchObject({ code: 'cancelled' })
      await until('nothing runs', () => under.backend.health().running === 0)
      for await (const _ of ask(under.known));
    })

    test('one that cannot be reached says so, has nothing to offer, and still knows what it would have', async () => {
      await using away = await fixture.openAway()
      await until('it was looked at', () => away.health().reason !== 'it was not asked yet')
      const { state, reason } = away.health()
      expect([state === 'ok', reason]).toEqual([false, expect.stringMatching(/\S/)])
      expect(away.models()).toEqual([])
      expect(away.knows(fixture.absent)).toBe(true)
      expect(['unavailable', 'model-unknown']).toContain(
        (await failure(away.infer(requestOf({ ...under.known, model: fixture.absent }), never))).code,
      )
    })

    test('closing it twice is closing it once; afterwards every request is an error', async () => {
      const other = await fixture.open()
      await until('its models are there', () => other.backend.models().length > 0)
      await Promise.all([other.backend[Symbol.asyncDispose](), other.backend[Symbol.asyncDispose]()])
      expect(await failure(other.backend.infer(requestOf(other.known), never))).toBeInstanceOf(InferError)
      await other[Symbol.asyncDispose]()
    })
  })
}
