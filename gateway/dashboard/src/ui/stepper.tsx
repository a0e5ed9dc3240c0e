/** Minus and plus around a wanted number. Commits when the taps pause, so five taps are one command. */
import { trimmed } from '../words.ts'
import { useDraft } from './draft.ts'

const commitAfterMs = 700

export function Stepper(props: {
  readonly label: string
  readonly value: number
  readonly min: number
  readonly max: number
  readonly step: number
  readonly unit: string
  readonly busy: boolean
  readonly disabled: boolean
  readonly onCommit: (value: number) => void
}) {
  const draft = useDraft(props.busy, commitAfterMs, props.onCommit)
  const shown = draft.value ?? props.value
  const move = (by: number) =>
    draft.commit(Number(Math.min(props.max, Math.max(props.min, shown + by)).toFixed(2)))
  return (
    <fieldset class="stepper">
      <legend>{props.label}</legend>
      <button
        type="button"
        aria-label={`${props.label}: less`}
        disabled={props.disabled || shown <= props.min}
        onClick={() => move(-props.step)}
      >
        −
      </button>
      <output class={draft.value === undefined ? '' : 'draft'}>
        {trimmed(shown, 1)}
        {props.unit}
      </output>
      <button
        type="button"
        aria-label={`${props.label}: more`}
        disabled={props.disabled || shown >= props.max}
        onClick={() => move(props.step)}
      >
        +
      </button>
    </fieldset>
  )
}
