/**
 * The kinds that this page can operate: one line a kind. A kind that is not here shows its state and nothing to press.
 * `power` puts an on/off switch beside the name.
 */
import type { FunctionComponent } from 'preact'
import type { EntityView } from '../entity.ts'
import { ClimateControls, climateWords } from './climate.tsx'
import type { ControlProps } from './controls.ts'
import { CoverControls } from './cover.tsx'
import { FanControls, FanMore } from './fan.tsx'
import { LightControls, LightMore, shine } from './light.tsx'
import { LockControls } from './lock.tsx'
import { MediaPlayerControls, MediaPlayerMore, mediaWords } from './media-player.tsx'
import { NumberControls, numberWords } from './number.tsx'
import { SelectControls } from './select.tsx'
import { TodoControls, todoWords } from './todo.tsx'
import { VacuumControls } from './vacuum.tsx'

export interface EntityUi {
  readonly power?: true
  readonly Controls?: FunctionComponent<ControlProps>
  /** Rarely used controls, behind "More". */
  readonly More?: FunctionComponent<ControlProps>
  /** The state in words, where the kind can say more than its bare state. */
  readonly words?: (entity: EntityView, state: string) => string
  /** Colour of the icon's ground. */
  readonly shine?: (entity: EntityView) => string | undefined
}

export const entityUis: Readonly<Record<string, EntityUi>> = {
  light: { power: true, Controls: LightControls, More: LightMore, shine },
  switch: { power: true },
  fan: { power: true, Controls: FanControls, More: FanMore },
  cover: { Controls: CoverControls },
  valve: { Controls: CoverControls },
  lock: { Controls: LockControls },
  climate: { Controls: ClimateControls, words: climateWords },
  media_player: {
    power: true,
    Controls: MediaPlayerControls,
    More: MediaPlayerMore,
    words: mediaWords,
  },
  vacuum: { Controls: VacuumControls },
  todo: { Controls: TodoControls, words: todoWords },
  number: { Controls: NumberControls, words: numberWords },
  select: { Controls: SelectControls },
}

/** Kinds that only report: shown small, after what can be operated. */
const reporting: ReadonlySet<string> = new Set(['sensor', 'binary_sensor', 'weather'])

export function onlyReports(entity: EntityView): boolean {
  return reporting.has(entity.kind)
}

const kindOrder = Object.keys(entityUis)

/** The order of the kinds above; entities of a kind keep their order. */
export function byKind(a: EntityView, b: EntityView): number {
  return kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind)
}
