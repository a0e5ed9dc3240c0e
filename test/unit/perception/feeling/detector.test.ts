/** A detector on a model that is a rule: what it does with missing numbers, failures, and a level that hovers. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { createHal } from '../../../../hal/index.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { loadDeviceConfig } from '../../../../runtime/config/config.ts'
import { InferError, type Inference } from '../../../../runtime/inference/inference.ts'
import { historyPath, readHistory } from '../../../../runtime/perception/feeling/history-file.ts'
import { Perception } from '../../../../runtime/perception/perception.ts'
import { EntityRegistry } from '../../../../runtime/things/registry.ts'
import type { InferChunk, InferRequest } from '../../../../runtime/wire/infer.ts'

const folder = mkdtempSync(join(tmpdir(), 'feeling-'))
afterAll(() => rmSync(folder, { recursive: true }))
const never = new AbortController().signal
const channels = ['sensor.speed', 'sensor.heat']

/** The level is the last value of the last row's second channel. */
class Rule implements Inference {
  /** Answers nothing until it is told to stop. */
  hangs = false
  readonly requests: Omit<InferRequest, 'id'>[] = []
  readonly failures: InferError[] = []
  limit = 1
  async *infer(request: Omit<InferRequest, 'id'>, signal: AbortSignal): AsyncGenerator<InferChunk> {
    this.requests.push(request)
    const failure = this.failures.shift()
    if (failure) throw failure
    if (this.hangs) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      throw new InferError('cancelled', 'cancelled')
    }
    const window = request.inputs[0]
    if (window?.datatype !== 'FP32') throw new InferError('bad-input', 'no window')
    const [speed = 0, heat = 0] = window.data.slice(-2)
    const one = (name: string, ...data: number[]) =>
      ({ name, datatype: 'FP32', shape: [data.length], data: Float32Array.from(data) }) as const
    yield {
      id: '1',
      final: true,
      outputs: [one('score', heat), one('limit', this.limit), one('channel', speed, heat)],
    }
  }
}

type Report = readonly [speed: string, heat: string]

async function feel(
  reports: readonly (Report | undefined)[],
  more: Record<string, unknown> = {},
  rule = new Rule(),
  labels: Readonly<Record<string, string>> = {},
) {
  const clock = new VirtualClock()
  const stateDir = mkdtempSync(join(folder, 'state-'))
  const registry = new EntityRegistry([])
  for (const id of channels)
    registry.add(
      { id, kind: 'sensor', name: id, simulated: true },
      { state: '0', attributes: {}, tsMs: clock.nowMs() },
    )
  const { perception: config } = loadDeviceConfig({
    perception: {
      feeling: [{ id: 'pump', channels, everyS: 600, window: 4, need: 2, of: 3, model: 'pump', ...more }],
    },
  } as never)
  const events: object[] = []
  const states: string[] = []
  registry.onReport(({ info, telemetry }) => {
    if (info.kind === 'binary_sensor') states.push(telemetry.state)
  })
  const perception = await Perception.open(
    {
      ...{
        clock,
        registry,
        stateDir,
        log: silentLog,
        inference: rule,
        camera: undefined,
        hal: createHal([]),
      },
      publishEvent: async (kind, event) => events.push({ kind, ...event }),
    },
    config,
    never,
  )
  const [detector] = perception.detectors
  for (const report of reports) {
    const rows = detector?.counts.rows ?? 0
    for (const [at, state] of (report ?? []).entries())
      registry.report(channels[at] ?? '', { state, attributes: { ...labels }, tsMs: clock.nowMs() })
    await clock.run(async () => {
      while (detector?.counts.rows === rows) await new Promise((resolve) => setImmediate(resolve))
    })
  }
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  const result = {
    rule,
    states,
    events,
    registry,
    stateDir,
    problems: perception.problems,
    counts: { ...detector?.counts },
  }
  await perception[Symbol.asyncDispose]()
  return result
}

const at = (heat: number): Report => ['5', String(heat)]
const times = (count: number, report: Report) => Array<Report>(count).fill(report)

test('what was felt, and what is asked of a model for it, is as private as the most private channel', async () => {
  const reports = [...times(6, at(0.2)), ...times(3, at(9))]
  const labelled = async (labels: Record<string, string>, privacy = 'cloud') => {
    const { rule, events, registry } = await feel(reports, { privacy }, new Rule(), labels)
    const { attributes } = registry.get('binary_sensor.pump_anomaly')?.telemetry ?? {}
    return [
      rule.requests[0]?.privacy,
      (events.at(-1) as { privacy?: string }).privacy,
      attributes?.['privacy'],
    ]
  }
  expect(await labelled({})).toEqual(['cloud', 'cloud', 'cloud'])
  expect(await labelled({ privacy: 'site' })).toEqual(['site', 'site', 'site'])
  expect(await labelled({ privacy: 'cloud' }, 'device')).toEqual(['device', 'device', 'device'])
  expect(await labelled({ privacy: 'of no list' })).toEqual(['cloud', 'cloud', 'cloud'])
})

test('an anomaly needs several windows over the limit, and names the channel that deviates most [feeling-3]', async () => {
  const { states, events } = await feel([
    ...times(6, at(0.2)),
    at(9),
    ...times(3, at(0.2)),
    ...times(3, at(9)),
    ...times(4, at(0.1)),
  ])
  expect(states).toEqual(['off', 'on', 'off'])
  expect(events.slice(1)).toMatchObject([
    { kind: 'felt', source: 'pump', state: 'on', level: 9, channel: 'sensor.heat' },
    { kind: 'felt', source: 'pump', state: 'off' },
  ])
})

test('what hovers at the limit does not flap [feeling-3]', async () => {
  const hovering = Array.from({ length: 40 }, (_, turn) => at(turn % 3 === 0 ? 0.9 : 1.1))
  const { states } = await feel([...times(6, at(0.2)), ...hovering])
  expect(states).toEqual(['off', 'on'])
})

test('a few missing numbers are filled with the last ones; more leave it unjudged and named [feeling-2]', async () => {
  const few = await feel([...times(8, at(0.2)), ['unavailable', '0.2'], ...times(4, at(0.2))])
  expect(few.states).toEqual(['off'])
  expect(few.counts.incomplete).toBe(0)
  const many = await feel([...times(8, at(0.2)), ...times(5, ['unavailable', '0.2'])])
  expect(many.states).toEqual(['off', 'unavailable'])
  expect(many.problems).toEqual(['feeling pump: sensor.speed gives no numbers'])
})

test('NaN, infinity and text are no numbers and never reach the model [feeling-2]', async () => {
  const { rule, counts } = await feel([
    ...times(4, at(0.2)),
    ['NaN', 'Infinity'],
    ['', 'open'],
    at(0.1),
    at(0.1),
  ])
  for (const { inputs } of rule.requests)
    expect((inputs[0]?.data as Float32Array | undefined)?.every(Number.isFinite)).toBe(true)
  expect(counts.incomplete).toBeGreaterThan(0)
})

test('history goes on while a slow model judges [feeling-1]', async () => {
  const rule = new Rule()
  rule.hangs = true
  const { counts, stateDir, states } = await feel(times(12, at(0.2)), {}, rule)
  expect(rule.requests).toHaveLength(1)
  expect(counts).toMatchObject({ rows: 12, skipped: 8 })
  const rows: number[] = []
  for await (const { tsMs } of (await readHistory(historyPath(stateDir, 'pump'))).rows) rows.push(tsMs)
  expect(rows.map((tsMs, at) => tsMs - (rows[at - 1] ?? tsMs - 600_000))).toEqual(Array(12).fill(600_000))
  expect(states).toEqual([])
})

test('a sensor that says nothing any more is silent, not constant [feeling-2]', async () => {
  const { problems } = await feel([...times(6, at(0.2)), ...Array(8).fill(undefined)])
  expect(problems).toEqual([
    'feeling pump: sensor.speed has reported nothing for over 50 minutes',
    'feeling pump: sensor.heat has reported nothing for over 50 minutes',
  ])
})

test('an entity that is not there is named', async () => {
  const { problems } = await feel(times(2, at(1)), { channels: ['sensor.speed', 'sensor.nowhere'] })
  expect(problems).toContain('feeling pump: there is no entity sensor.nowhere')
})

test.each(['refused', 'overloaded', 'unavailable', 'model-unknown', 'bad-input'] as const)(
  'a model that answers %s leaves it unknown, and the status says why',
  async (code) => {
    const rule = new Rule()
    rule.failures.push(...Array.from({ length: 9 }, () => new InferError(code, 'because of the test')))
    const { states, problems, counts } = await feel(times(8, at(0.2)), {}, rule)
    expect(states).toEqual(['unavailable'])
    expect(problems).toEqual(['feeling pump: because of the test'])
    expect(counts.failures).toBe(5)
  },
)

test.each([
  [Number.NaN, 'no FP32 output limit'],
  [0, 'limit is 0; expected more than 0'],
  [-1, 'limit is -1; expected more than 0'],
])('a limit of %f is refused', async (limit, reason) => {
  const rule = new Rule()
  rule.limit = limit
  const { problems, states } = await feel(times(6, at(0.2)), {}, rule)
  expect(problems[0]).toContain(reason)
  expect(states).toEqual(['unavailable'])
})

test('values leave the device only where the configuration says so', async () => {
  expect((await feel(times(5, at(0.2)))).rule.requests[0]?.privacy).toBe('device')
  expect((await feel(times(5, at(0.2)), { privacy: 'site' })).rule.requests[0]?.privacy).toBe('site')
})

test('without a model history is kept and nothing is judged', async () => {
  const { rule, stateDir, registry } = await feel([at(1), at(2), at(3)], { model: undefined })
  expect(rule.requests).toHaveLength(0)
  expect(registry.get('binary_sensor.pump_anomaly')).toBeUndefined()
  const heats: number[] = []
  for await (const { values } of (await readHistory(historyPath(stateDir, 'pump'))).rows)
    heats.push(values[1] ?? -1)
  expect(heats).toEqual([1, 2, 3])
})
