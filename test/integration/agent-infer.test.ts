/** `infer` of agents over the router, on tiny networks in a real engine. */
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Json } from '../../runtime/agent/contract.ts'
import { type Outcome, type Sharing, unshared } from '../../runtime/agent/service.ts'
import { inferService } from '../../runtime/agent/services/infer.service.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Redactor } from '../../runtime/inference/redaction/redactor.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { Router } from '../../runtime/inference/router/router.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { Privacy } from '../../runtime/wire/infer.ts'
import { addModel, identityModel } from '../fixtures/onnx.ts'

const folder = mkdtempSync(join(tmpdir(), 'agent-infer-'))
const graphs = {
  add: addModel(),
  floats: identityModel('FP32'),
  longs: identityModel('INT64'),
  bits: identityModel('BOOL'),
}
let engine: EngineSupervisor

beforeAll(async () => {
  const models = Object.keys(graphs).map((name) => ({
    ...{ name, pipeline: 'tensor' as const, files: { model: join(folder, `${name}.onnx`) } },
  }))
  for (const [name, graph] of Object.entries(graphs)) await writeFile(join(folder, `${name}.onnx`), graph)
  engine = await EngineSupervisor.open(
    { clock: realClock, log: silentLog },
    { models },
    new AbortController().signal,
  )
})
afterAll(async () => {
  await engine[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

interface Asking {
  readonly reach?: Privacy
  readonly askedMs?: number
  readonly price?: number
  readonly sharing?: Sharing
}

async function infer(
  args: { readonly [name: string]: Json },
  { reach = 'device', askedMs = realClock.nowMs(), price = 0, sharing = unshared }: Asking = {},
): Promise<Outcome> {
  const place: Route = {
    id: 'engine',
    reach,
    offer: (model) =>
      model in graphs
        ? { usable: true, queueMs: 0, loadMs: 0, price, idempotent: true }
        : { usable: false, whyNot: `no model is named ${model}`, code: 'model-unknown' },
    infer: (request, signal) => engine.infer(request, signal),
  }
  const deps = { clock: realClock, log: silentLog, routes: () => [place], redactor: () => new Redactor() }
  await using inference = new Router(deps, { probeShare: 0, hedgeShare: 0 })
  const call = { id: 1, op: 'infer' as const, args }
  const caller = { agent: 'a', token: 1 }
  const performing = { caller, call, resumed: false, askedMs, emit: () => true, sharing }
  return await inferService({ clock: realClock, inference }).perform(performing, new AbortController().signal)
}

const tensor = (name: string, datatype: string, data: readonly Json[]) => ({
  ...{ name, datatype, shape: [data.length], data },
})

describe('a model', () => {
  it('is asked with tensors as JSON and answers with them, its place and its label', async () => {
    const inputs = [tensor('a', 'FP32', [2]), tensor('b', 'FP32', [3.5])]
    expect(await infer({ model: 'add', inputs })).toMatchObject({
      ok: true,
      value: { outputs: [{ datatype: 'FP32', shape: [1], data: [5.5] }], route: 'engine', privacy: 'device' },
    })
  })

  it.each([
    ['longs', 'INT64', [1, -2, 2 ** 40]],
    ['bits', 'BOOL', [true, false]],
    ['floats', 'FP32', [0.5, -1e-3]],
  ])('gives back %s as they came', async (model, datatype, data) => {
    const outcome = await infer({ model, inputs: [tensor('x', datatype, data)], privacy: 'site' })
    expect(outcome).toMatchObject({ ok: true, value: { privacy: 'site', outputs: [{ datatype }] } })
    const { value } = outcome as Extract<Outcome, { ok: true }>
    const [output] = (value as { readonly outputs: readonly Json[] }).outputs
    const near = data.map((one) => (typeof one === 'number' ? expect.closeTo(one, 6) : one))
    expect(output).toMatchObject({ data: near })
  })
})

describe('what an answer cost', () => {
  const x = tensor('x', 'FP32', [1])
  const noted = () => {
    const said: unknown[] = []
    const sharing: Sharing = {
      boundary: async () => {},
      draw: async (budget) => (used) => said.push([budget, used > 0]),
      spend: (charge) => said.push(charge),
    }
    return { said, sharing }
  }

  it('is counted where it left the device and somebody asks for money', async () => {
    const { said, sharing } = noted()
    const far = { reach: 'site', price: 0.25, sharing } as const
    expect(await infer({ model: 'floats', inputs: [x], privacy: 'site' }, far)).toMatchObject({ ok: true })
    // There and back: the request as JSON, the answer's number as four bytes.
    const bytes = Buffer.byteLength(JSON.stringify([x])) + 4
    expect(said).toEqual([['gateway', true], { engineMs: expect.any(Number), money: 0.25, bytes }])
  })

  it('is nothing at the device itself, and what may not leave it draws on no budget', async () => {
    const near = noted()
    await infer({ model: 'floats', inputs: [x], privacy: 'site' }, near)
    expect(near.said).toEqual([['gateway', false], { engineMs: expect.any(Number), money: 0, bytes: 0 }])
    const here = noted()
    await infer({ model: 'floats', inputs: [x] }, here)
    expect(here.said).toEqual([{ engineMs: expect.any(Number), money: 0, bytes: 0 }])
  })

  it('is what was sent also where no answer came', async () => {
    const { said, sharing } = noted()
    const wrong = { model: 'floats', inputs: [tensor('y', 'FP32', [1])], privacy: 'site' }
    expect(await infer(wrong, { reach: 'site', sharing })).toMatchObject({ ok: false })
    expect(said).toEqual([['gateway', true]])
  })
})

describe('what cannot be answered says why in one line', () => {
  const x = tensor('x', 'FP32', [1])
  const late = realClock.nowMs() - 60_000
  it.each([
    ['not-found', { model: 'sub', inputs: [x] }, {}],
    ['bad-request', { model: 'floats', inputs: [] }, {}],
    ['bad-request', { model: 'floats', inputs: [tensor('y', 'FP32', [1])] }, {}],
    ['bad-request', { model: 'floats', inputs: [tensor('x', 'INT64', [1])] }, {}],
    ['refused', { model: 'floats', inputs: [x] }, { reach: 'cloud' as const }],
    ['timeout', { model: 'floats', inputs: [x], deadlineMs: late + 1_000 }, { askedMs: late }],
    ['limit', { model: 'floats', inputs: [tensor('x', 'FP32', Array(16_385).fill(1))] }, {}],
  ])('%s', async (code, args, more) => {
    const outcome = await infer(args, more)
    expect(outcome).toMatchObject({
      ok: false,
      error: { code, message: expect.stringMatching(/^.{10,400}$/) },
    })
  })
})
