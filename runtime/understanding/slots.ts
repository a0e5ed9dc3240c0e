/**
 * What one clause says apart from what it is about. Every grammar word fills a slot, is glue, or stops the clause;
 * a word that is none of these belongs to the target, so nothing that was said is dropped silently.
 */
import type { Rgb } from './colours.ts'

/** Verbs that decide. Neutral ones (`set`, `turn`, `make`) fill nothing: what follows decides. */
export type Verb =
  | 'open'
  | 'close'
  | 'start'
  | 'stop'
  | 'lock'
  | 'unlock'
  | 'play'
  | 'resume'
  | 'pause'
  | 'next'
  | 'previous'
  | 'mute'
  | 'unmute'
  | 'clean'
  | 'dock'
  | 'locate'
  | 'water'
  | 'add'
  | 'remove'
  | 'complete'
  | 'oscillate'
  | 'toggle'

export type Attribute =
  | 'brightness'
  | 'color'
  | 'color_temp'
  | 'volume'
  | 'temperature'
  | 'position'
  | 'speed'
  | 'mode'

export type Unit = 'percent' | 'degree' | 'celsius' | 'fahrenheit' | 'kelvin'

export interface Amount {
  readonly value: number
  readonly unit?: Unit
  /** `by 10 %`, not `to 10 %`. */
  readonly relative: boolean
}

export type Level = 'max' | 'min' | 'half' | 'quarter' | 'threequarters' | 'low' | 'medium' | 'high'
type ClimateMode = 'heat' | 'cool' | 'auto' | 'dry' | 'fan_only'

export interface Slots {
  verb?: Verb
  state?: 'on' | 'off'
  direction?: 'up' | 'down'
  attribute?: Attribute
  amount?: Amount
  level?: Level
  rgb?: Rgb
  kelvin?: number
  mode?: ClimateMode
  /** A choice of a select, as it is said. */
  option?: string
  /** `a bit`: a smaller step than otherwise. No rule needs it, so it is no name of a slot. */
  slight?: true
  /** The mode was said beside the thing, so that it is wanted for itself: `the thermostat to cool`. */
  modeSaid?: true
}

export type SlotName = Exclude<keyof Slots, 'slight' | 'modeSaid'>

export const slotNames: readonly SlotName[] = [
  'verb',
  'state',
  'direction',
  'attribute',
  'amount',
  'level',
  'rgb',
  'kelvin',
  'mode',
  'option',
]
