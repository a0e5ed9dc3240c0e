/** Vacuum: start, pause, back to its dock, and where it is. */
import type { ControlProps } from './controls.ts'

const actions = [
  ['start', 'Start'],
  ['pause', 'Pause'],
  ['return_to_base', 'To dock'],
  ['locate', 'Find it'],
] as const

export function VacuumControls({ disabled, send }: ControlProps) {
  return (
    <div class="buttons">
      {actions.map(([action, label]) => (
        <button key={action} type="button" disabled={disabled} onClick={() => send({ action })}>
          {label}
        </button>
      ))}
    </div>
  )
}
