/** Select: one of the choices that it declares. */
import { textsOf } from '../entity.ts'
import { Choice } from '../ui/choice.tsx'
import type { ControlProps } from './controls.ts'

export function SelectControls({ entity, disabled, send }: ControlProps) {
  const choices = entity.choices ?? textsOf(entity.attributes['options'])
  if (choices.length === 0) return null
  return (
    <Choice
      label="Choice"
      value={entity.state}
      choices={choices}
      disabled={disabled}
      onChoose={(option) => send({ option })}
    />
  )
}
