/** Lock: locking is one press, unlocking asks once more. */
import { ConfirmButton } from '../ui/confirm-button.tsx'
import type { ControlProps } from './controls.ts'

export function LockControls({ entity, disabled, send }: ControlProps) {
  return (
    <div class="buttons">
      <button type="button" disabled={disabled} onClick={() => send({ state: 'locked' })}>
        Lock
      </button>
      <ConfirmButton
        label="Unlock"
        question={`Unlock ${entity.name}?`}
        confirmLabel="Unlock it"
        cancelLabel="Keep locked"
        disabled={disabled}
        onConfirm={() => send({ state: 'unlocked' })}
      />
    </div>
  )
}
