/** The list of actuator kinds. Adding one: a file here, a line here, its kind in the HAL's contract. */
import type { ActuatorKind } from '../../../hal/contract/component.ts'
import { climate } from './climate.ts'
import { fan } from './fan.ts'
import type { KindRules } from './kind.ts'
import { light } from './light.ts'
import { lock } from './lock.ts'
import { mediaPlayer } from './media-player.ts'
import { numberKind } from './number.ts'
import { cover, valve } from './opening.ts'
import { selectKind } from './select.ts'
import { switchKind } from './switch.ts'
import { todo } from './todo.ts'
import { vacuum } from './vacuum.ts'

export const kinds: Readonly<Record<ActuatorKind, KindRules>> = {
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
