/** What can be done with an agent as a whole: anybody stops it; to let it go on, and to remove it, is a person's to say. */
import { useState } from 'preact/hooks'
import { api, type Said } from '../api.ts'
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
  const [anewMs, setAnewMs] = useState<number>()
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
  const resume = async (said: Said) => {
    const { anew = false } = await api.agentDo(device, name, 'resume', said)
    setAnewMs(anew ? Date.now() : undefined)
    return anew ? `${name} begins anew` : `${name} goes on`
  }
  const remove = async (said: Said) => {
    await api.agentDo(device, name, 'remove', said)
    return `${name} is removed`
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
          label={state === 'failed' ? 'Try again' : 'Resume'}
          question={
            state === 'failed'
              ? `Let ${name} try again? It goes on from where it was, or begins anew where its run has ended.`
              : `Let ${name} go on from where it was?`
          }
          confirmLabel={state === 'failed' ? 'Let it try again' : 'Let it go on'}
          act={resume}
        />
      )}
      {!onItsWay.includes(state) && (
        <PersonAction
          {...shared}
          label="Remove"
          question={`Remove ${name}, with all that it remembers? It cannot be undone.`}
          confirmLabel="Remove it"
          caution
          act={remove}
        />
      )}
      {anewMs !== undefined && state === 'running' && (
        <p class="quiet">Begun anew at {timeOfDay(anewMs)}: its run had ended by an error.</p>
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
