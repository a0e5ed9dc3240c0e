/**
 * An opened board: its components and how to close them. Disposing twice is harmless; one component that fails to close
 * does not keep the others open.
 */
import type { Actuator } from './contract/actuator.ts'
import type { Board, ConditionSensors, Layout, OpenBoard, SimControl } from './contract/board.ts'
import type { Camera } from './contract/camera.ts'
import type { Component } from './contract/component.ts'
import type { Microphone } from './contract/microphone.ts'
import type { Safety } from './contract/safety.ts'
import type { Sensor } from './contract/sensor.ts'
import type { Speaker } from './contract/speaker.ts'

export interface BoardParts {
  readonly board: Board
  readonly recognisedBy: string
  readonly simulated: boolean
  readonly layout: Layout
  readonly sensors: readonly Sensor[]
  readonly conditions: ConditionSensors
  readonly actuators: readonly Actuator[]
  readonly microphone?: Microphone
  readonly speaker?: Speaker
  readonly camera?: Camera
  readonly sim?: SimControl
  readonly safety?: Safety
  /** What runs behind the components: closed after them. */
  readonly behind?: readonly AsyncDisposable[]
}

/** Puts the parts together; the result owns them. */
export function assembleBoard(parts: BoardParts): OpenBoard {
  const { behind = [], ...offered } = parts
  const components: readonly Component[] = [...parts.sensors, ...parts.actuators]
  const stack = new AsyncDisposableStack()
  for (const part of behind) stack.use(part)
  for (const component of components) stack.use(component)
  for (const part of [parts.microphone, parts.speaker, parts.camera]) if (part) stack.use(part)
  return { ...offered, components, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
