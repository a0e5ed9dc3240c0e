/** Cover and valve: open, stop, close, and a position where it has one. Ways into the house ask before they open. */
import { numberOf, supports } from '../entity.ts'
import { ConfirmButton } from '../ui/confirm-button.tsx'
import { Slider } from '../ui/slider.tsx'
import type { ControlProps } from './controls.ts'

const waysIn: ReadonlySet<string> = new Set(['garage', 'gate', 'door'])

export function CoverControls({ entity, busy, disabled, send }: ControlProps) {
  const open = () => send({ state: 'open' })
  return (
    <>
      <div class="buttons">
        {waysIn.has(entity.deviceClass ?? '') ? (
          <ConfirmButton
            label="Open"
            question={`Open ${entity.name}?`}
            confirmLabel="Open it"
            cancelLabel="Keep closed"
            disabled={disabled}
            onConfirm={open}
          />
        ) : (
          <button type="button" disabled={disabled} onClick={open}>
            Open
          </button>
        )}
        {supports(entity, 'stop') && (
          <button type="button" disabled={disabled} onClick={() => send({ action: 'stop' })}>
            Stop
          </button>
        )}
        <button type="button" disabled={disabled} onClick={() => send({ state: 'closed' })}>
          Close
        </button>
      </div>
      {supports(entity, 'set_position') && (
        <Slider
          label="Position"
          unit=" %"
          min={0}
          max={100}
          value={numberOf(entity.attributes['current_position']) ?? numberOf(entity.attributes['position'])}
          busy={busy}
          disabled={disabled}
          onCommit={(value) => send({ position: value })}
        />
      )}
    </>
  )
}
