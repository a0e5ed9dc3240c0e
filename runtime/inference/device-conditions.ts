/** The state of this device as far as it costs nothing to know: for the router, which asks at every request. */
import type { OpenBoard } from '../../hal/contract/board.ts'
import type { EntityRegistry } from '../things/registry.ts'
import type { Conditions } from './router/conditions.ts'
import type { Engines } from './supervisor/engines.ts'

export function deviceConditions(
  { conditions: sensors }: Pick<OpenBoard, 'conditions'>,
  registry: Pick<EntityRegistry, 'get'>,
  engines: Engines,
  budgetMb: number,
): Conditions {
  const stateOf = (id: string | undefined) =>
    id === undefined ? '' : (registry.get(id)?.telemetry.state ?? '')
  const tempC = Number.parseFloat(stateOf(sensors.temperature))
  const batteryPercent = Number.parseFloat(stateOf(sensors.battery))
  const throttled = stateOf(sensors.throttled)
  const mains = stateOf(sensors.mains)
  // What is not said stays unknown.
  return {
    ...(Number.isFinite(tempC) ? { tempC } : {}),
    ...(throttled === 'on' || throttled === 'off' ? { throttled: throttled === 'on' } : {}),
    ...(mains === 'on' ? { power: 'mains' } : mains === 'off' ? { power: 'battery' } : {}),
    ...(Number.isFinite(batteryPercent) ? { batteryPercent } : {}),
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
