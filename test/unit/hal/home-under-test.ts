/** Opens a small home for a test: entities as YAML, commands and reports by entity id, time by the virtual clock. */
import { boards } from '../../../boards/index.ts'
import type { Actuator, Command } from '../../../hal/contract/actuator.ts'
import type { OpenBoard, SimControl } from '../../../hal/contract/board.ts'
import type { Component, Json, Telemetry } from '../../../hal/contract/component.ts'
import type { Sensor } from '../../../hal/contract/sensor.ts'
import { createHal } from '../../../hal/index.ts'
import type { VirtualClock } from '../../../runtime/base/clock.ts'
import { testHost } from './host.ts'

export interface HomeUnderTest extends AsyncDisposable {
  readonly board: OpenBoard
  readonly clock: VirtualClock
  readonly sim: SimControl
  component(id: string): Component
  sensor(id: string): Sensor
  /** Hands a command over, under a new id unless one is given. */
  command(id: string, command: Command, commandId?: string): Promise<void>
  /** Hands a command over and lets ten minutes pass. */
  carryOut(id: string, command: Command): Promise<Telemetry>
  state(id: string): string
  attributes(id: string): Readonly<Record<string, Json>>
  /** Every report from now on, as `state` and one attribute. */
  watch(id: string, attribute?: string): (string | Json)[]
}

export async function openHome(entities: string): Promise<HomeUnderTest> {
  const { host, clock } = testHost()
  const signal = new AbortController().signal
  const yaml = `areas: [{id: here, name: Here}]\nentities:\n${entities}`
  const options = { home: { name: 'home.yaml', yaml }, hostSensors: false }
  const board = await createHal(boards).openBoard(options, host, signal)
  const { sim } = board
  if (!sim) throw new Error('a home must open a simulated board')
  let ids = 0
  const find = <T extends Component>(list: readonly T[], id: string): T => {
    const found = list.find(({ info }) => info.id === id)
    if (!found) throw new Error(`no ${id} in the test's home`)
    return found
  }
  const component = (id: string) => find<Component>(board.components, id)
  const command = (id: string, what: Command, commandId = `c${++ids}`) =>
    find<Actuator>(board.actuators, id).command(
      what,
      { id: commandId, principal: 'user', ttlMs: 5000 },
      signal,
    )
  return {
    board,
    clock,
    sim,
    component,
    sensor: (id) => find<Sensor>(board.sensors, id),
    command,
    async carryOut(id, what) {
      await command(id, what)
      clock.advance(600_000)
      return component(id).current()
    },
    state: (id) => component(id).current().state,
    attributes: (id) => component(id).current().attributes,
    watch(id, attribute) {
      const seen: (string | Json)[] = []
      component(id).onTelemetry(({ state, attributes }) => {
        seen.push(attribute === undefined ? state : `${state} ${attributes[attribute]}`)
      })
      return seen
    },
    [Symbol.asyncDispose]: () => board[Symbol.asyncDispose](),
  }
}
