/** What every service promises, held against the list. */
import { describe, expect, it } from 'vitest'
import { callErrorCodes, type Json } from '../../../../runtime/agent/contract.ts'
import type { CallOp } from '../../../../runtime/agent/turn.ts'
import { openServices } from './home-services.ts'

interface Example {
  readonly right: (nowMs: number) => { readonly [name: string]: Json }
  readonly wrong: readonly { readonly [name: string]: Json }[]
  /** It has no end of its own. */
  readonly stream?: true
}

const tensor = { name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }
const examples: Partial<Record<CallOp, Example>> = {
  sleep: { right: (nowMs) => ({ atMs: nowMs + 90_000 }), wrong: [{}, { atMs: null }, { atMs: 'soon' }] },
  cron: {
    right: () => ({ cron: '*/5 * * * *' }),
    wrong: [
      {},
      { cron: 7 },
      { cron: 'every\nday' },
      { cron: '* * * * *', timezone: 'Nowhere' },
      { cron: '0 0 31 4 *' },
      { cron: `* * * * ${'9'.repeat(10_000)}` },
    ],
    stream: true,
  },
  on: {
    right: () => ({ pattern: 'light.*', filter: {} }),
    wrong: [{ filter: {} }, { pattern: '', filter: {} }, { pattern: 'light.*', filter: { to: 1 } }],
    stream: true,
  },
  until: {
    right: (nowMs) => ({ entity: 'light.hall', filter: { to: 'on' }, deadlineMs: nowMs + 60_000 }),
    wrong: [{ entity: 'light.hall' }, { entity: 'light.hall', filter: { until: 'on' } }],
  },
  entities: { right: () => ({ pattern: 'light.*' }), wrong: [{}, { pattern: 'x'.repeat(10_000) }] },
  read: { right: () => ({ entity: 'light.hall' }), wrong: [{}, { entity: ['light.hall'] }] },
  command: {
    right: () => ({ entity: 'light.hall', command: { state: 'on' } }),
    wrong: [{ entity: 'light.hall' }, { entity: 'light.hall', command: 'on' }],
  },
  infer: {
    right: () => ({ model: 'm', inputs: [tensor] }),
    wrong: [
      { model: 'm' },
      { model: 'm', inputs: [{ ...tensor, data: [1, 'two'] }] },
      { model: 'm', inputs: [{ ...tensor, shape: [3] }] },
      { model: 'm', inputs: [{ ...tensor, shape: [2 ** 40] }] },
      { model: 'm', inputs: [{ ...tensor, datatype: 'FP\n16' }] },
      { model: 'm', inputs: [tensor], privacy: 'public' },
    ],
  },
}

const { services: list } = await openServices()
const ops = list.flatMap((service) => service.ops)
const exampleOf = (op: CallOp) => {
  const example = examples[op]
  if (!example) throw new Error(`${op} has no example here`)
  return example
}

it.each<[CallOp, string, { readonly [name: string]: Json }]>([
  ['command', 'not-found', { entity: 'light.nowhere', command: { state: 'on' } }],
  ['read', 'not-found', { entity: 'light.nowhere' }],
  ['until', 'not-found', { entity: 'light.nowhere', filter: {} }],
  ['read', 'unavailable', { entity: 'light.hall@attic' }],
  ['infer', 'bad-request', { model: '', inputs: [] }],
])('people are not asked whether %s may be what is %s: %j [permit-15]', async (op, code, args) => {
  const { services } = await openServices()
  const service = services.find((one) => one.ops.includes(op))
  const refused = await service?.refuses?.({ op, args }, new AbortController().signal)
  expect(refused).toMatchObject({ ok: false, error: { code } })
})

it.each<[CallOp, { readonly [name: string]: Json }]>([
  ['read', { entity: 'light.hall' }],
  ['until', { entity: 'light.hall', filter: { to: 'on' } }],
])('people are asked whether %s may be of a thing that is there [permit-15]', async (op, args) => {
  const { services } = await openServices()
  const service = services.find((one) => one.ops.includes(op))
  expect(await service?.refuses?.({ op, args }, new AbortController().signal)).toBeUndefined()
})

it('no call is served twice', () => expect(new Set(ops).size).toBe(ops.length))

describe.each(ops)('%s', (op) => {
  const { right, wrong, stream } = exampleOf(op)

  it.each(wrong.map((args) => [JSON.stringify(args).slice(0, 60), args] as const))(
    'says `bad-request` in one line for %s [services-1]',
    async (_, args) => {
      const { ask, clock } = await openServices()
      const outcome = await clock.run(() => ask(op, { args }).outcome)
      expect(outcome).toMatchObject({ ok: false, error: { code: 'bad-request' } })
      const { message } = outcome.ok ? { message: '' } : outcome.error
      expect(message).not.toContain('\n')
      expect(message.length).toBeLessThan(400)
    },
  )

  it.each([false, true])('settles when nobody waits any more, resumed: %s [services-2]', async (resumed) => {
    const { ask, clock } = await openServices()
    const asked = ask(op, { args: right(clock.nowMs()), resumed })
    asked.cancel()
    const outcome = await clock.run(() => asked.outcome)
    if (!outcome.ok) expect(callErrorCodes).toContain(outcome.error.code)
    if (stream) expect(outcome).toMatchObject({ ok: false, error: { code: 'cancelled' } })
  })

  it('does nothing for a call that was left before it began [services-2]', async () => {
    const { services, clock, registry } = await openServices()
    const service = services.find((one) => one.ops.includes(op))
    const call = { id: 1, op, args: right(clock.nowMs()) }
    const performing = {
      caller: { agent: 'a', token: 1 },
      call,
      resumed: false,
      askedMs: 0,
      emit: () => true,
    }
    const outcome = await service?.perform(performing, AbortSignal.abort())
    expect(outcome).toMatchObject({ ok: false, error: { code: 'cancelled' } })
    expect(registry.get('light.hall')?.telemetry.state).toBe('off')
  })

  if (stream) return
  it('settles when it is resumed [services-3]', async () => {
    const { ask, clock } = await openServices()
    const outcome = await clock.run(() => ask(op, { args: right(clock.nowMs()), resumed: true }).outcome)
    if (!outcome.ok) expect(callErrorCodes).toContain(outcome.error.code)
  })
})
