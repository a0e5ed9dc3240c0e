/**
 * A button for what only a person may do where people are known: asks who it is, and whether they mean it, then does it once. The focus
 * goes to the question and comes back; what went wrong is said there, and the PIN is asked for again.
 */
import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Said } from '../api.ts'
import { announce } from '../state/announce.ts'
import { useWho } from './who.ts'
import { WhoAnswers } from './who-answers.tsx'

interface PersonActionProps {
  readonly device: string
  readonly label: string
  /** What a screen reader says instead, where several are called alike. */
  readonly name?: string
  readonly question: string
  readonly confirmLabel: string
  readonly caution?: boolean
  readonly online: boolean
  /** Settles with what is said aloud when it is done, rejects with one line for a person. */
  readonly act: (said: Said) => Promise<string>
}

export function PersonAction(props: PersonActionProps) {
  const [asking, setAsking] = useState(false)
  const start = useRef<HTMLButtonElement>(null)
  const asked = useRef(false)
  useLayoutEffect(() => {
    if (!asking && asked.current) start.current?.focus()
    asked.current = asking
  }, [asking])
  if (asking) return <Question {...props} close={() => setAsking(false)} />
  return (
    <button
      type="button"
      ref={start}
      class={props.caution ? 'plain' : ''}
      aria-label={props.name}
      disabled={!props.online}
      onClick={() => setAsking(true)}
    >
      {props.label}
    </button>
  )
}

function Question(props: PersonActionProps & { readonly close: () => void }) {
  const { device, question, confirmLabel, caution = false, online, act, close } = props
  const id = useId()
  const who = useWho(device, 'nothing')
  const [busy, setBusy] = useState(false)
  const [failed, setFailed] = useState('')
  const panel = useRef<HTMLFieldSetElement>(null)
  // On the question, not on an answer: a key pressed twice does nothing.
  useLayoutEffect(() => panel.current?.focus(), [])
  const ready = who.ready && online && !busy
  const send = async () => {
    if (!ready) return
    setBusy(true)
    setFailed('')
    try {
      announce(await act(who.said))
      close()
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error))
      panel.current?.querySelector<HTMLElement>('input[type="password"]')?.focus()
      setBusy(false)
    }
    who.setPin('')
  }
  return (
    <fieldset
      class="confirm"
      ref={panel}
      tabIndex={-1}
      aria-labelledby={id}
      onKeyDown={(event) => {
        if (event.key === 'Escape' && !busy) close()
        if (event.key === 'Enter' && (event.target as Element).matches('.field input') && !who.locked)
          void send()
      }}
    >
      <legend id={id}>{question}</legend>
      <WhoAnswers who={who} />
      {!online && <p class="approval-note">Its device is not connected: it can be asked when it is back.</p>}
      <button type="button" disabled={busy} onClick={close}>
        Cancel
      </button>
      {!who.locked && (
        <button
          type="button"
          class={caution ? 'caution' : 'primary'}
          aria-disabled={!ready}
          onClick={() => void send()}
        >
          {confirmLabel}
        </button>
      )}
      <p class="approval-state quiet" role="status">
        {busy && 'Asking the device…'}
      </p>
      <p class="agent-problem" role="alert">
        {failed && `Not done: ${failed}`}
      </p>
    </fieldset>
  )
}
