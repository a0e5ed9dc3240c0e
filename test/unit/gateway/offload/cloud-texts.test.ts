/** What a backend in a cloud gets to see of texts, whoever asked for whichever model, and what the caller sees of its answer. */
import { expect, test } from 'vitest'
import { InferenceService } from '../../../../gateway/offload/service.ts'
import { textTensor } from '../../../../gateway/offload/tasks.ts'
import { realClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import type { KnownName } from '../../../../runtime/inference/redaction/redactor.ts'
import { type InferChunk, InferError, type Tensor } from '../../../../runtime/wire/infer.ts'
import { number, type Script, ScriptedBackend } from './scripted-backend.ts'

const said = 'Anna (anna@mail.example, +49 170 1234567) is in the Kitchen'
const hidden = '[PERSON_1] ([EMAIL_1], [PHONE_1]) is in the [AREA_1]'
const house: readonly KnownName[] = [
  { kind: 'PERSON', name: 'Anna' },
  { kind: 'AREA', name: 'Kitchen' },
]
const echo: Script = ({ inputs }) => [{ final: true, outputs: inputs }]
const cloud = (id: string, script = echo) => new ScriptedBackend(id, { reach: 'cloud', script })

async function ask(
  backends: readonly ScriptedBackend[],
  inputs: readonly Tensor[],
  { names = () => house, unredacted = [] as string[], times = 1 } = {},
): Promise<InferChunk[]> {
  await using service = new InferenceService(
    { clock: realClock, log: silentLog, backends, names },
    { queueMax: 10, bytesMax: 10_000_000, unredacted: new Set(unredacted) },
  )
  const request = {
    caller: 'x',
    model: 'm',
    priority: 'interactive',
    deadlineMs: 10_000,
    privacy: 'cloud',
  } as const
  const { signal } = new AbortController()
  const once = () => Array.fromAsync(service.infer({ ...request, inputs }, signal))
  for (let time = 1; time < times; time += 1) await once()
  return await once()
}
const textsSent = (backend: ScriptedBackend, call = 0) => backend.requests[call]?.inputs[0]?.data
const textsBack = (chunks: readonly InferChunk[]) => chunks.at(-1)?.outputs[0]?.data

test('[serving-11] a cloud sees placeholders and the caller sees the text; numbers go as they are', async () => {
  const far = cloud('far')
  const chunks = await ask([far], [textTensor('text', said, 'call Anna'), number(7)])
  expect(textsSent(far)).toEqual([hidden, 'call [PERSON_1]'])
  expect(far.requests[0]?.inputs[1]).toEqual(number(7))
  expect(textsBack(chunks)).toEqual([said, 'call Anna'])
})

test('[serving-11] a backend of the site gets the text as it is, and so does a cloud that is trusted with it', async () => {
  const near = new ScriptedBackend('near', { script: echo })
  const far = cloud('far')
  await ask([near], [textTensor('text', said)])
  await ask([far], [textTensor('text', said)], { unredacted: ['far'] })
  expect([textsSent(near), textsSent(far)]).toEqual([[said], [said]])
})

test('[serving-11] each try by itself: a cloud that takes over from the site gets placeholders', async () => {
  const fails = () => [new InferError('unavailable', 'unplugged for the test', { retryable: true })]
  const near = new ScriptedBackend('near', { script: fails })
  const far = cloud('far')
  const chunks = await ask([near, far], [textTensor('text', said)])
  expect([textsSent(near), textsSent(far), textsBack(chunks)]).toEqual([[said], [hidden], [said]])
})

test('[serving-11] what a device has hidden stays so in both directions', async () => {
  const far = cloud('far')
  const fromDevice = '[PERSON_1] and Anna, [EMAIL_1]'
  const chunks = await ask([far], [textTensor('text', fromDevice)])
  expect(textsSent(far)).toEqual(['[PERSON_1] and [PERSON_2], [EMAIL_1]'])
  expect(textsBack(chunks)).toEqual([fromDevice])
})

test('[serving-11] a chat that streams comes back whole, cut anywhere, arguments of tools too', async () => {
  const event = (delta: object, finish: string | null = null): Omit<InferChunk, 'id'> => ({
    final: false,
    outputs: [textTensor('event', JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] }))],
  })
  const args = (part: string) => ({ tool_calls: [{ index: 0, function: { arguments: part } }] })
  for (let cut = 1; cut < 10; cut += 1) {
    const far = cloud('far', () => [
      event({ content: `Hi ${'[PERSON_1]'.slice(0, cut)}` }),
      event({ content: `${'[PERSON_1]'.slice(cut)}!` }),
      event(args(`{"to":"${'[EMAIL_1]'.slice(0, cut)}`)),
      event(args(`${'[EMAIL_1]'.slice(cut)}"}`)),
      event({}, 'tool_calls'),
      { final: true, outputs: [] },
    ])
    const body = { stream: true, messages: [{ role: 'user', content: said }] }
    const chunks = await ask([far], [textTensor('request', JSON.stringify(body))])
    const deltas = chunks.flatMap(({ outputs }) =>
      outputs.map(({ data }) => JSON.parse(String(data[0])).choices[0].delta),
    )
    expect(deltas.map(({ content = '' }) => content).join('')).toBe('Hi Anna!')
    const parts = deltas.map((delta) => delta.tool_calls?.[0].function.arguments ?? '')
    expect(parts.join('')).toBe('{"to":"anna@mail.example"}')
    expect(String(textsSent(far))).not.toMatch(/Anna|mail\.example|1234567|Kitchen/)
  }
})

test('[serving-11] names that come later are hidden from then on', async () => {
  const study: readonly KnownName[] = [{ kind: 'AREA', name: 'Study' }]
  const far = cloud('far')
  const names = () => (far.requests.length === 0 ? house : study)
  await ask([far], [textTensor('text', 'in the Study')], { names, times: 2 })
  expect([textsSent(far, 0), textsSent(far, 1)]).toEqual([['in the Study'], ['in the [AREA_1]']])
})

test('[serving-11] a text too long to be looked at does not leave', async () => {
  const far = cloud('far')
  await expect(ask([far], [textTensor('text', 'x'.repeat(1_000_001))])).rejects.toMatchObject({
    code: 'bad-input',
  })
  expect(far.requests).toEqual([])
})

test('[serving-11] texts that are too long together do not leave either', async () => {
  const far = cloud('far')
  const texts = Array.from({ length: 5 }, () => 'x'.repeat(900_000))
  await expect(ask([far], [textTensor('text', ...texts)])).rejects.toMatchObject({
    code: 'bad-input',
    message: expect.stringMatching(/more than 4000000 characters/),
  })
  expect(far.requests).toEqual([])
})

test('[serving-11] many texts, and a long one, are looked at in turns with everything else', async () => {
  for (const texts of [
    Array.from({ length: 256 }, () => `${said}. `.repeat(20)),
    [`${said}. `.repeat(2_000)],
  ]) {
    const far = cloud('far')
    let rounds = 0
    const count = () => {
      rounds += 1
      if (far.requests.length === 0) setImmediate(count)
    }
    setImmediate(count)
    await ask([far], [textTensor('text', ...texts)])
    expect(rounds).toBeGreaterThan(8)
    expect(String(textsSent(far))).not.toMatch(/Anna|mail\.example|1234567|Kitchen/)
  }
})

test('[serving-11] who leaves while its texts are looked at is not kept until the end', async () => {
  const far = cloud('far')
  const service = new InferenceService(
    { clock: realClock, log: silentLog, backends: [far], names: () => house },
    { queueMax: 10, bytesMax: 10_000_000 },
  )
  const gone = new AbortController()
  const limits = {
    caller: 'x',
    model: 'm',
    priority: 'interactive',
    deadlineMs: 10_000,
    privacy: 'cloud',
  } as const
  const inputs = [textTensor('text', ...Array.from({ length: 30 }, () => `${said}. `.repeat(2_000)))]
  const asking = Array.fromAsync(service.infer({ ...limits, inputs }, gone.signal))
  setImmediate(() => gone.abort())
  await expect(asking).rejects.toMatchObject({ code: 'cancelled' })
  expect([far.requests, service.load()[0]?.running]).toEqual([[], 0])
  await service[Symbol.asyncDispose]()
})

test('[serving-11] an answer that cannot be looked at is an error of that backend, not of the gateway', async () => {
  const deep = `${'['.repeat(40)}"[PERSON_1]"${']'.repeat(40)}`
  const far = cloud('far', () => [{ final: true, outputs: [textTensor('text', deep)] }])
  await expect(ask([far], [textTensor('text', 'Anna')])).rejects.toMatchObject({
    code: 'run',
    message: expect.stringMatching(/the answer: JSON nested deeper/),
  })
})
