/** A button for what should not happen by a slip: asks once more, with the focus on the way back. */
import { useLayoutEffect, useRef, useState } from 'preact/hooks'

export function ConfirmButton(props: {
  readonly label: string
  readonly question: string
  readonly confirmLabel: string
  readonly cancelLabel: string
  readonly disabled: boolean
  /** What was asked for is on its way: nothing is asked twice, and the focus stays. */
  readonly busy?: boolean
  readonly onConfirm: () => void
}) {
  const [asking, setAsking] = useState(false)
  const start = useRef<HTMLButtonElement>(null)
  const cancel = useRef<HTMLButtonElement>(null)
  const asked = useRef(false)
  // In the same step as the swap of the buttons: a key pressed right after it must not find the focus on the page.
  useLayoutEffect(() => {
    if (asking) cancel.current?.focus()
    else if (asked.current) start.current?.focus()
    asked.current = asking
  }, [asking])

  if (!asking)
    return (
      <button
        type="button"
        ref={start}
        disabled={props.disabled}
        aria-disabled={props.busy}
        onClick={() => !props.busy && setAsking(true)}
      >
        {props.label}
      </button>
    )
  return (
    <fieldset class="confirm">
      <legend>{props.question}</legend>
      <button type="button" ref={cancel} onClick={() => setAsking(false)}>
        {props.cancelLabel}
      </button>
      <button
        type="button"
        class="caution"
        disabled={props.disabled}
        onClick={() => {
          setAsking(false)
          props.onConfirm()
        }}
      >
        {props.confirmLabel}
      </button>
    </fieldset>
  )
}
