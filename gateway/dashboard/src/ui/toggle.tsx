/** An on/off switch. Shows the reported state; while a command is checked it says so and stays operable. */
export function Toggle(props: {
  readonly label: string
  readonly on: boolean
  readonly busy: boolean
  readonly disabled: boolean
  readonly onToggle: (on: boolean) => void
}) {
  return (
    <button
      type="button"
      class="toggle"
      role="switch"
      aria-label={props.label}
      aria-checked={props.on}
      aria-busy={props.busy}
      disabled={props.disabled}
      onClick={() => props.onToggle(!props.on)}
    >
      <span class="toggle-thumb" />
    </button>
  )
}
