/** Media player: play or pause, next and previous, volume; the source under "More". */
import { type EntityView, numberOf, supports, textsOf } from '../entity.ts'
import { Choice } from '../ui/choice.tsx'
import { Slider } from '../ui/slider.tsx'
import type { ControlProps } from './controls.ts'

export function MediaPlayerControls({ entity, busy, disabled, send }: ControlProps) {
  const playing = entity.state === 'playing'
  const asleep = disabled || entity.state === 'off'
  const level = numberOf(entity.attributes['volume_level'])
  return (
    <>
      <div class="buttons">
        {supports(entity, 'previous_track') && (
          <button type="button" disabled={asleep} onClick={() => send({ action: 'previous' })}>
            Back
          </button>
        )}
        <button
          type="button"
          disabled={disabled}
          onClick={() => send({ state: playing ? 'paused' : 'playing' })}
        >
          {playing ? 'Pause' : 'Play'}
        </button>
        {supports(entity, 'next_track') && (
          <button type="button" disabled={asleep} onClick={() => send({ action: 'next' })}>
            Next
          </button>
        )}
      </div>
      {supports(entity, 'volume_set') && (
        <Slider
          label="Volume"
          unit=" %"
          min={0}
          max={100}
          value={level === undefined ? undefined : volumePercent(level)}
          busy={busy}
          disabled={asleep}
          onCommit={(value) => send({ volume_level: value / 100 })}
        />
      )}
    </>
  )
}

export function MediaPlayerMore({ entity, disabled, send }: ControlProps) {
  const sources = textsOf(entity.attributes['source_list'])
  const source = entity.attributes['source']
  if (sources.length === 0) return null
  return (
    <Choice
      label="Source"
      value={typeof source === 'string' ? source : undefined}
      choices={sources}
      disabled={disabled}
      onChoose={(choice) => send({ source: choice })}
    />
  )
}

/** Home Assistant counts volume from 0 to 1; some players report percent. */
function volumePercent(level: number): number {
  return Math.round(level > 1 ? level : level * 100)
}

/** `Playing, Blue in Green`. */
export function mediaWords(entity: EntityView, state: string): string {
  const title = entity.attributes['media_title']
  const audible = entity.state === 'playing' || entity.state === 'paused'
  return typeof title === 'string' && audible ? `${state}, ${title}` : state
}
