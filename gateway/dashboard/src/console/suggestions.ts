/** Things one could say in this very home: made from its entities, so each can work. Pure. */
import type { EntityView } from '../entity.ts'
import { numberOf } from '../entity.ts'

const suggestionsMax = 5

const phrases: Readonly<Record<string, (entity: EntityView) => string>> = {
  light: (entity) => `turn ${entity.state === 'on' ? 'off' : 'on'} the ${spoken(entity)}`,
  cover: (entity) => `${entity.state === 'closed' ? 'open' : 'close'} the ${spoken(entity)}`,
  climate: (entity) =>
    `set the ${spoken(entity)} to ${Math.round(numberOf(entity.attributes['temperature']) ?? 20)}`,
  sensor: (entity) => `what is the ${spoken(entity)}`,
  lock: (entity) => `is the ${spoken(entity)} locked`,
  fan: (entity) => `turn on the ${spoken(entity)}`,
  todo: (entity) => `add milk to the ${spoken(entity)}`,
  media_player: (entity) => `pause the ${spoken(entity)}`,
}

export function suggestions(entities: readonly EntityView[]): readonly string[] {
  return Object.entries(phrases)
    .flatMap(([kind, phrase]) => {
      const entity = entities.find((each) => each.kind === kind && each.available)
      return entity ? [phrase(entity)] : []
    })
    .slice(0, suggestionsMax)
}

function spoken(entity: EntityView): string {
  return entity.name.toLowerCase()
}
