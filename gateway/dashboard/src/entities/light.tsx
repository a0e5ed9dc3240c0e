/**
 * Light: on and off beside the name; brightness below; colour and warmth under "More". What a lamp can do is what
 * `supported_color_modes` declares; undeclared means that everything may be tried.
 */
import type { Json } from '../../../../runtime/wire/messages.ts'
import { type EntityView, numberOf, textsOf } from '../entity.ts'
import { Slider } from '../ui/slider.tsx'
import type { ControlProps } from './controls.ts'

/** Home Assistant counts brightness from 0 to 255, people in percent. */
const brightnessMax = 255
const colourModes: ReadonlySet<string> = new Set(['rgb', 'rgbw', 'rgbww', 'hs', 'xy'])

function shows(entity: EntityView, wanted: (mode: string) => boolean): boolean {
  const modes = entity.attributes['supported_color_modes']
  return modes === undefined || textsOf(modes).some(wanted)
}

export function LightControls({ entity, busy, disabled, send }: ControlProps) {
  if (!shows(entity, (mode) => mode !== 'onoff')) return null
  const brightness = numberOf(entity.attributes['brightness'])
  const percent = entity.state === 'off' ? 0 : brightness && Math.round((brightness / brightnessMax) * 100)
  return (
    <Slider
      label="Brightness"
      unit=" %"
      min={0}
      max={100}
      value={percent}
      busy={busy}
      disabled={disabled}
      onCommit={(value) =>
        send(
          value === 0
            ? { state: 'off' }
            : { state: 'on', brightness: Math.round((value / 100) * brightnessMax) },
        )
      }
    />
  )
}

export function LightMore({ entity, busy, disabled, send }: ControlProps) {
  const { attributes } = entity
  const kelvinMin = numberOf(attributes['min_color_temp_kelvin']) ?? 2000
  const kelvinMax = numberOf(attributes['max_color_temp_kelvin']) ?? 6535
  return (
    <>
      {shows(entity, (mode) => colourModes.has(mode)) && (
        <label class="colour">
          Colour
          <input
            type="color"
            value={hex(attributes['rgb_color']) ?? '#ffffff'}
            disabled={disabled}
            onChange={(event) => send({ state: 'on', rgb_color: rgb(event.currentTarget.value) })}
          />
        </label>
      )}
      {shows(entity, (mode) => mode === 'color_temp') && (
        <Slider
          label="Warmth"
          unit=" K"
          min={kelvinMin}
          max={kelvinMax}
          step={100}
          value={numberOf(attributes['color_temp_kelvin'])}
          busy={busy}
          disabled={disabled}
          onCommit={(value) => send({ state: 'on', color_temp_kelvin: value })}
        />
      )}
    </>
  )
}

/** The lamp's own colour while it shines, for its icon. */
export function shine(entity: EntityView): string | undefined {
  return entity.kind === 'light' && entity.state === 'on' ? hex(entity.attributes['rgb_color']) : undefined
}

function hex(value: Json | undefined): string | undefined {
  if (!Array.isArray(value) || value.length !== 3) return undefined
  const parts = value.map((part) => (numberOf(part) ?? 0).toString(16).padStart(2, '0'))
  return `#${parts.join('')}`
}

function rgb(colour: string): Json {
  return [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))
}
