/** Every kind of actuator that can be simulated. One file a kind; to add one, write it and put it here. */
import type { ActuatorKind } from '../../contract/component.ts'
import { climate } from './climate.ts'
import { cover } from './cover.ts'
import { fan } from './fan.ts'
import type { Kind } from './kind.ts'
import { light } from './light.ts'
import { lock } from './lock.ts'
import { mediaPlayer } from './media-player.ts'
import { numberKind } from './number.ts'
import { selectKind } from './select.ts'
import { switchKind } from './switch.ts'
import { todo } from './todo.ts'
import { vacuum } from './vacuum.ts'
import { valve } from './valve.ts'

export const kinds: Readonly<Record<ActuatorKind, Kind>> = {
  light,
  switch: switchKind,
  fan,
  cover,
  valve,
  lock,
  climate,
  media_player: mediaPlayer,
  vacuum,
  todo,
  number: numberKind,
  select: selectKind,
}
