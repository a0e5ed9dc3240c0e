/** Whatever is commanded and whatever breaks: devices stay in legal states and reports stay complete and in order. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Command } from '../../../hal/contract/actuator.ts'
import type { FaultKind } from '../../../hal/contract/board.ts'
import type { ActuatorKind, Telemetry } from '../../../hal/contract/component.ts'
import { kinds } from '../../../hal/sim/kinds/index.ts'
import { openHome } from './home-under-test.ts'

const entities = `
  - {id: light.a, state: "off", attributes: {brightness: 9}}
  - {id: switch.a}
  - {id: fan.a, attributes: {percentage: 30}}
  - {id: cover.a, state: closed, attributes: {current_position: 0}}
  - {id: valve.a, state: open}
  - {id: lock.a}
  - {id: climate.a, state: heat, attributes: {current_temperature: 20, unit_of_measurement: °C, temperature: 20}}
  - {id: media_player.a, state: idle, attributes: {volume_level: 50, media_track: 1}}
  - {id: vacuum.a}
  - {id: todo.a}
  - {id: number.a}
  - {id: select.a, state: low, attributes: {options: [low, high]}}
`
const onOff = fc.constantFrom('on', 'off')
const percent = fc.integer({ min: 0, max: 100 })
const byte = fc.integer({ min: 0, max: 255 })
const degrees = fc.integer({ min: 7, max: 35 })

/** Valid commands of each kind; where two fields can contradict each other only one is given. */
const commands: Readonly<Record<ActuatorKind, fc.Arbitrary<Command>>> = {
  light: fc.oneof(
    fc.record({ state: onOff }),
    fc.record({ brightness: byte }),
    fc.record({ rgb_color: fc.tuple(byte, byte, byte).map((rgb) => [...rgb]) }),
    fc.record({ color_temp_kelvin: fc.integer({ min: 2000, max: 6535 }) }),
  ),
  switch: fc.record({ state: onOff }),
  fan: fc.oneof(
    fc.record({ state: onOff }),
    fc.record({ percentage: percent }),
    fc.record({ oscillating: fc.boolean(), preset_mode: fc.constantFrom('eco', 'boost') }),
  ),
  cover: fc.oneof(
    fc.record({ state: fc.constantFrom('open', 'closed') }),
    fc.record({ position: percent }),
    fc.constant({ action: 'stop' }),
  ),
  valve: fc.oneof(fc.record({ state: fc.constantFrom('open', 'closed') }), fc.constant({ action: 'stop' })),
  lock: fc.record({ state: fc.constantFrom('locked', 'unlocked') }),
  climate: fc.oneof(
    fc.record({ state: onOff }),
    fc.record({ hvac_mode: fc.constantFrom('off', 'heat', 'cool', 'auto'), temperature: degrees }),
  ),
  media_player: fc.oneof(
    fc.record({ state: fc.constantFrom('on', 'off', 'playing', 'paused', 'idle') }),
    fc.record({ volume_level: fc.double({ min: 0, max: 1, noNaN: true }), muted: fc.boolean() }),
    fc.record({ action: fc.constantFrom('next', 'previous', 'stop') }),
  ),
  vacuum: fc.record({ action: fc.constantFrom('start', 'pause', 'stop', 'return_to_base', 'locate') }),
  todo: fc.record({ action: fc.constant('add_item'), item: fc.constantFrom('Milk', 'Bread') }),
  number: fc.record({ value: percent }),
  select: fc.record({ option: fc.constantFrom('low', 'high') }),
}
const kindNames = Object.keys(commands) as ActuatorKind[]
const faultKinds: readonly FaultKind[] = ['stuck', 'slow', 'lost-command', 'lying', 'offline']

const step = fc.constantFrom(...kindNames).chain((kind) =>
  fc.record({
    id: fc.constant(`${kind}.a`),
    command: commands[kind],
    fault: fc.option(fc.constantFrom(...faultKinds, 'none' as const), { freq: 6, nil: undefined }),
    waitMs: fc.integer({ min: 0, max: 10_000 }),
  }),
)

function isLegal(
  kind: ActuatorKind,
  { state, attributes }: Pick<Telemetry, 'state' | 'attributes'>,
): boolean {
  const legal = kinds[kind].states
  if (!(legal instanceof RegExp ? legal.test(state) : legal.includes(state))) return false
  const inRange = (name: string, max: number) => {
    const value = attributes[name]
    return value === undefined || (typeof value === 'number' && value >= 0 && value <= max)
  }
  const limits = [
    ['brightness', 255],
    ['current_position', 100],
    ['percentage', 100],
    ['volume_level', 100],
    ['temperature', 35],
  ] as const
  const coherent = attributes['current_position'] !== 0 || state !== 'open'
  return coherent && limits.every(([name, max]) => inRange(name, max))
}

test('[hal-sim-1] [hal-contract-1] any sequence of valid commands and faults leaves every device legal and reported in full', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      await using home = await openHome(entities)
      let lastMs = 0
      for (const { info } of home.board.actuators) {
        const names = Object.keys(home.attributes(info.id))
        home.component(info.id).onTelemetry((report) => {
          const unseen = report.state === 'unavailable'
          if (!unseen && !isLegal(info.kind, report)) throw new Error(`${info.id}: ${JSON.stringify(report)}`)
          for (const name of names) expect(report.attributes).toHaveProperty(name)
          expect(report.tsMs).toBeGreaterThanOrEqual(lastMs)
          lastMs = report.tsMs
        })
      }
      for (const { id, command, fault, waitMs } of steps) {
        if (fault) home.sim.fault(id, fault === 'none' ? undefined : { kind: fault })
        const offline = home.sim.faults().get(id)?.kind === 'offline'
        const sent = home.command(id, command)
        await (offline ? expect(sent).rejects.toMatchObject({ code: 'not-present' }) : sent)
        home.clock.advance(waitMs)
      }
      for (const { info } of home.board.actuators) {
        home.sim.fault(info.id, undefined)
        home.clock.advance(600_000)
        const { state, attributes } = home.component(info.id).current()
        expect({ state, attributes }).toEqual(home.sim.truth(info.id))
        expect(isLegal(info.kind, { state, attributes })).toBe(true)
        expect(['opening', 'closing', 'locking', 'unlocking', 'returning']).not.toContain(state)
      }
    }),
    { numRuns: 150 },
  )
})

test('every kind that takes commands can be simulated', () => {
  for (const [kind, simulated] of Object.entries(kinds)) expect(simulated.kind).toBe(kind)
})
