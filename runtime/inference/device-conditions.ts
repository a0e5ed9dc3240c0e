/** The state of this device as far as it costs nothing to know: for the router, which asks at every request. */
import type { OpenBoard } from '../../hal/contract/board.ts'
import type { EntityRegistry } from '../things/registry.ts'
import type { Conditions } from './router/conditions.ts'
import type { Engines } from './supervisor/engines.ts'

export function deviceConditions(
  board: Pick<OpenBoard, 'sensors'>,
  registry: Pick<EntityRegistry, 'get'>,
  engines: Engines,
  budgetMb: number,
): Conditions {
  const thermometer = board.sensors.find(({ info }) => info.id.endsWith('cpu_temperature'))
  const tempC = Number.parseFloat(
    thermometer ? (registry.get(thermometer.info.id)?.telemetry.state ?? '') : '',
  )
  return {
    ...(Number.isFinite(tempC) ? { tempC } : {}),
    memoryFreeMb: roomMb(engines, budgetMb),
  }
}

/** Megabytes that a model may have here once all that may be unloaded is: the engine makes that room by itself. */
export function roomMb(engines: Pick<Engines, 'models' | 'outlook'>, budgetMb: number): number {
  let heldMb = 0
  for (const { name, memoryMb = 0, pin } of engines.models) {
    const outlook = pin ? engines.outlook(name) : undefined
    if (outlook?.state === 'loaded') heldMb += outlook.memoryMb ?? memoryMb
  }
  return Math.max(0, budgetMb - heldMb)
}
