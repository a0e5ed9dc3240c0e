/** A select with its label. Shows the reported value, also one that is not among the choices. */
import { useId } from 'preact/hooks'
import { sentence } from '../words.ts'

export function Choice(props: {
  readonly label: string
  readonly value: string | undefined
  readonly choices: readonly string[]
  readonly disabled: boolean
  readonly onChoose: (choice: string) => void
}) {
  const id = useId()
  const value = props.value ?? ''
  const choices = props.choices.includes(value) ? props.choices : [value, ...props.choices]
  return (
    <div class="choice">
      <label for={id}>{props.label}</label>
      <select
        id={id}
        value={value}
        disabled={props.disabled}
        onChange={(event) => props.onChoose(event.currentTarget.value)}
      >
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {choice === '' ? 'Not reported' : sentence(choice)}
          </option>
        ))}
      </select>
    </div>
  )
}
