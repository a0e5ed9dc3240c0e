/** Publishes the home: what there is (also in Home Assistant's terms) and what it is doing, as retained values. */
import type { OpenBoard } from '../../hal/contract/board.ts'
import type { Component } from '../../hal/contract/component.ts'
import type { Cancel } from '../base/clock.ts'
import { UsageError } from '../base/errors.ts'
import { version } from '../base/version.ts'
import { discovery } from '../link/home-assistant/discovery.ts'
import type { Link } from '../link/session.ts'
import { wireLimits } from '../wire/limits.ts'
import type { HomeMessage, StateMessage } from '../wire/messages.ts'
import type { Entity } from './entity.ts'
import type { EntityRegistry } from './registry.ts'

interface Deps {
  readonly link: Link
  readonly registry: EntityRegistry
  readonly home: HomeMessage
}

/** Publishes all of it now and every later report; the returned function stops that. */
export function publishHome({ link, registry, home }: Deps): Cancel {
  const { topics } = link
  const publishState = ({ info, telemetry }: Entity) => {
    const message: StateMessage = {
      v: 1,
      state: telemetry.state,
      attributes: { ...telemetry.attributes },
      ts: telemetry.tsMs,
    }
    link.setRetained(topics.state(home.device.id, info.id), JSON.stringify(message))
  }
  link.setRetained(topics.home(home.device.id), JSON.stringify(home))
  const attributesOf = (id: string) => registry.get(id)?.telemetry.attributes
  for (const { topic, payload } of discovery(home, topics, { attributesOf })) link.setRetained(topic, payload)
  for (const entity of registry.view().entities) publishState(entity)
  return registry.onReport(publishState)
}

/** The home as it is described on the wire, with what is perceived in it. Throws UsageError where it is more than the wire takes. */
export function homeMessage(
  device: string,
  board: OpenBoard,
  perceived: readonly Component[] = [],
): HomeMessage {
  const home: HomeMessage = {
    v: 1,
    device: { id: device, name: device, board: board.board.name, simulated: board.simulated, version },
    areas: board.layout.areas.map(({ aliases, ...area }) => ({
      ...area,
      ...(aliases ? { aliases: [...aliases] } : {}),
    })),
    entities: [...board.components, ...perceived].map(({ info: { features, choices, ...info } }) => ({
      ...info,
      ...(features ? { features: [...features] } : {}),
      ...(choices ? { choices: [...choices] } : {}),
    })),
  }
  checkSize(home)
  return home
}

/** Gateways refuse a larger home: better said at the start than shown as an empty house. */
function checkSize(home: HomeMessage): void {
  const { entitiesMax, mqttPayloadBytesMax } = wireLimits
  const count = home.entities.length
  const advice = 'attach fewer parts here, and run a second device for the rest'
  if (count > entitiesMax)
    throw new UsageError(
      `this device would have ${count} entities, one for each channel; ${entitiesMax} are the most: ${advice}`,
    )
  const bytes = Buffer.byteLength(JSON.stringify(home))
  if (bytes > mqttPayloadBytesMax)
    throw new UsageError(
      `the description of ${count} entities takes ${bytes} bytes, ${mqttPayloadBytesMax} are the most: shorten names, or ${advice}`,
    )
}
