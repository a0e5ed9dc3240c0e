/** Which sensors tell under what conditions the machine computes: its own, or those that a simulated home has for it. */
import type { ConditionSensors } from './contract/board.ts'
import type { Sensor } from './contract/sensor.ts'

/** By what it tells: the end of its id. */
const kinds = {
  temperature: { kind: 'sensor', object: 'cpu_temperature' },
  throttled: { kind: 'binary_sensor', object: 'throttled' },
  mains: { kind: 'binary_sensor', object: 'mains' },
  battery: { kind: 'sensor', object: 'battery' },
} as const

/**
 * A simulated home has them as `sensor.board_cpu_temperature`, `binary_sensor.board_throttled`, `binary_sensor.board_mains` and
 * `sensor.board_battery`: so a person can try what heat or an empty battery does.
 */
export function conditionSensors(simulated: readonly Sensor[], ofHost: readonly Sensor[]): ConditionSensors {
  const found: [string, string][] = []
  for (const [tells, { kind, object }] of Object.entries(kinds)) {
    const mine = simulated.find(({ info }) => info.id === `${kind}.board_${object}`)
    const sensor = mine ?? ofHost.find(({ info }) => info.id.endsWith(`_${object}`) && info.kind === kind)
    if (sensor) found.push([tells, sensor.info.id])
  }
  return Object.fromEntries(found)
}
