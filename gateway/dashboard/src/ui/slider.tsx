/**
 * A slider that shows the reported value, and the wanted one while a hand is on it or a command is checked. It commits
 * after a pause, because on a keyboard each arrow key would otherwise be a command.
 */
import { useId } from 'preact/hooks'
import { useDraft } from './draft.ts'

const commitAfterMs = 350

export function Slider(props: {
  readonly label: string
  /** Absent: not reported. */
  readonly value: number | undefined
  readonly min: number
  readonly max: number
  readonly step?: number
  readonly unit: string
  readonly busy: boolean
  readonly disabled: boolean
  readonly onCommit: (value: number) => void
}) {
  const draft = useDraft(props.busy, commitAfterMs, props.onCommit)
  const id = useId()
  const shown = draft.value ?? props.value
  const words = shown === undefined ? 'not reported' : `${shown}${props.unit}`
  return (
    <div class="slider">
      <label for={id}>{props.label}</label>
      <output class={draft.value === undefined ? '' : 'draft'} for={id}>
        {shown === undefined ? '–' : words}
      </output>
      <input
        id={id}
        type="range"
        min={props.min}
        max={props.max}
        step={props.step ?? 1}
        value={shown ?? props.min}
        disabled={props.disabled}
        aria-valuetext={words}
        onInput={(event) => draft.set(event.currentTarget.valueAsNumber)}
        onChange={(event) => draft.commit(event.currentTarget.valueAsNumber)}
      />
    </div>
  )
}
