/** Fan: speed in percent, oscillation and presets under "More". */
import { numberOf, supports, textsOf } from '../entity.ts'
import { Choice } from '../ui/choice.tsx'
import { Slider } from '../ui/slider.tsx'
import type { ControlProps } from './controls.ts'

export function FanControls({ entity, busy, disabled, send }: ControlProps) {
  if (!supports(entity, 'set_speed', 'percentage')) return null
  return (
    <Slider
      label="Speed"
      unit=" %"
      min={0}
      max={100}
      step={numberOf(entity.attributes['percentage_step']) ?? 1}
      value={entity.state === 'off' ? 0 : numberOf(entity.attributes['percentage'])}
      busy={busy}
      disabled={disabled}
      onCommit={(value) => send(value === 0 ? { state: 'off' } : { percentage: value })}
    />
  )
}

export function FanMore({ entity, disabled, send }: ControlProps) {
  const presets = textsOf(entity.attributes['preset_modes'])
  const preset = entity.attributes['preset_mode']
  return (
    <>
      {supports(entity, 'oscillate') && (
        <label class="check">
          <input
            type="checkbox"
            checked={entity.attributes['oscillating'] === true}
            disabled={disabled}
            onClick={(event) => {
              event.preventDefault()
              send({ oscillating: entity.attributes['oscillating'] !== true })
            }}
          />
          Oscillate
        </label>
      )}
      {presets.length > 0 && (
        <Choice
          label="Preset"
          value={typeof preset === 'string' ? preset : undefined}
          choices={presets}
          disabled={disabled}
          onChoose={(choice) => send({ preset_mode: choice })}
        />
      )}
    </>
  )
}
