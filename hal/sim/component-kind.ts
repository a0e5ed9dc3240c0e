/** Tells kinds that take commands from kinds that only report. */
import { type ActuatorKind, actuatorKinds, type ComponentKind } from '../contract/component.ts'

export function isActuatorKind(kind: ComponentKind): kind is ActuatorKind {
  return actuatorKinds.some((candidate) => candidate === kind)
}
