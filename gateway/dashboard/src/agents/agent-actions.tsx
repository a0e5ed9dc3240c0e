/** What can be done with an agent as a whole: anybody stops it; to let it go on, and to remove it, is a person's to say. */
import { useState } from 'preact/hooks'
import { api } from '../api.ts'
import type { AgentNow } from '../state/agents.ts'
import { announce } from '../state/announce.ts'
import { ConfirmButton } from '../ui/confirm-button.tsx'
import { useKeptFocus } from '../ui/kept-focus.ts'
import { timeOfDay } from '../words.ts'
import { PersonAction } from './person-action.tsx'

/** On its way between two devices: it is neither's to remove. */
const onItsWay: readonly AgentNow['state'][] = ['moving', 'moved']

export function AgentActions(props: {
  readonly agent: AgentNow
  readonly device: string
  readonly online: boolean
}) {
  const { agent, device, online } = props
  const { name, state } = agent
  const [busy, setBusy] = useState(false)
  const [failed, setFailed] = useState<{ readonly message: string; readonly atMs: number }>()
  // Stop becomes Resume when the device says so.
  const kept = useKeptFocus<HTMLDivElement>()
  const stop = async () => {
    if (busy) return
    setBusy(true)
    setFailed(undefined)
    try {
      await api.agentStop(device, name)
      announce(`${name} is stopped`)
    } catch (error) {
      setFailed({ message: error instanceof Error ? error.message : String(error), atMs: Date.now() })
    }
    setBusy(false)
  }
  const shared = { device, online }
  return (
    <div class="agent-actions" {...kept}>
      {state === 'running' && (
        <ConfirmButton
          label="Stop"
          question={`Stop ${name}? It goes on from here when it is resumed.`}
          confirmLabel="Stop it"
          cancelLabel="Keep running"
          disabled={!online}
          busy={busy}
          onConfirm={() => void stop()}
        />
      )}
      {(state === 'stopped' || state === 'failed') && (
        <PersonAction
          {...shared}
          label={state === 'failed' ? 'Try again from there' : 'Resume'}
          question={`Let ${name} go on from where it was?`}
          confirmLabel="Let it go on"
          act={(said) => api.agentDo(device, name, 'resume', said)}
          done={`${name} goes on`}
        />
      )}
      {!onItsWay.includes(state) && (
        <PersonAction
          {...shared}
          label="Remove"
          question={`Remove ${name}, with all that it remembers? It cannot be undone.`}
          confirmLabel="Remove it"
          caution
          act={(said) => api.agentDo(device, name, 'remove', said)}
          done={`${name} is removed`}
        />
      )}
      <p class="quiet approval-state" role="status">
        {busy && 'Asking the device…'}
      </p>
      <p class="agent-problem" role="alert">
        {failed && `Not done at ${timeOfDay(failed.atMs)}: ${failed.message}`}
      </p>
    </div>
  )
}
