/** The HAL as a source of entities: every component is registered, its reports flow in, its actuators can be commanded. */
import type { OpenBoard } from '../../hal/contract/board.ts'
import type { Actuation } from './actuation.ts'
import type { EntityRegistry } from './registry.ts'

/** Attaches an open board. The returned function stops listening; it does not close the board. */
export function attachBoard(board: OpenBoard, registry: EntityRegistry, actuation: Actuation): () => void {
  const stops = board.components.map((component) => {
    registry.add(component.info, component.current())
    return component.onTelemetry((telemetry) => registry.report(component.info.id, telemetry))
  })
  for (const actuator of board.actuators) actuation.attach(actuator)
  return () => {
    for (const stop of stops) stop()
  }
}
