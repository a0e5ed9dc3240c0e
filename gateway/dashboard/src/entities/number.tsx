/** Number: one value to set, within the range that it declares. */
import type { EntityView } from '../entity.ts'
import { Slider } from '../ui/slider.tsx'
import { trimmed, withUnit } from '../words.ts'
import type { ControlProps } from './controls.ts'

/** Where none is declared. */
const anyRange = { min: 0, max: 100, step: 1 }

export function NumberControls({ entity, busy, disabled, send }: ControlProps) {
  const { min, max, step } = entity.range ?? anyRange
  const value = Number(entity.state)
  return (
    <Slider
      label="Value"
      unit={withUnit('', entity.unit)}
      min={min}
      max={max}
      step={step}
      value={entity.state.trim() !== '' && Number.isFinite(value) ? value : undefined}
      busy={busy}
      disabled={disabled}
      onCommit={(wanted) => send({ value: wanted })}
    />
  )
}

export function numberWords(entity: EntityView, state: string): string {
  const value = Number(entity.state)
  if (!Number.isFinite(value)) return state
  return withUnit(trimmed(value, 2), entity.unit)
}
